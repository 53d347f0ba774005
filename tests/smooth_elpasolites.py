"""Small tables of a made-up chemistry in which the energy is easy to learn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aiida_perovskite.learning.generative.space import ELEMENTS, GROUPS, ROWS, encode, space_codes
from aiida_perovskite.learning.generative.table import ElpasoliteTable


def smooth_energies(codes: np.ndarray) -> np.ndarray:
    """Energies that fall with the group of D and rise with that of C, in eV/atom."""
    a, b, c, d = encode(codes).T
    return 0.1 * (GROUPS[a] + GROUPS[b]) + 0.3 * GROUPS[c] - 0.5 * GROUPS[d] + 0.1 * ROWS[d]


def smooth_table(compounds: int, seed: int = 0) -> ElpasoliteTable:
    """Return compositions drawn at random with their smooth energies."""
    codes = np.random.default_rng(seed).choice(space_codes(), compounds, replace=False)
    columns = [[ELEMENTS[index] for index in column] for column in encode(codes).T]
    return ElpasoliteTable.from_rows(*columns, smooth_energies(codes))


def smooth_frame(compounds: int, seed: int = 0) -> pd.DataFrame:
    """Return such a table as the columns that commands and nodes hold."""
    codes = np.random.default_rng(seed).choice(space_codes(), compounds, replace=False)
    columns = {
        site: [ELEMENTS[index] for index in column] for site, column in zip("abcd", encode(codes).T, strict=True)
    }
    return pd.DataFrame(columns).assign(formation_energy_ev_per_atom=smooth_energies(codes))


def smooth_csv(compounds: int) -> pd.DataFrame:
    """Write such a table to energies.csv, with an element on two sites to repeated.csv, and return it."""
    names = {site: site.upper() for site in "abcd"} | {"formation_energy_ev_per_atom": "formation_energy_eV_per_atom"}
    table = smooth_frame(compounds).rename(columns=names)
    table.to_csv("energies.csv", index=False)
    table.assign(B=[table["A"][0], *table["B"][1:]]).to_csv("repeated.csv", index=False)
    return table
