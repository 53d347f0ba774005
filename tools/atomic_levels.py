"""Compute the shipped orbitals and levels of ions.

``atomic_levels.py --file mp-abc2d6-legacy2023=PATH --file mp-abc2d6-2026=PATH`` writes ``atomic_orbitals.csv`` and
``atomic_levels.csv`` into the package, in a few minutes. It needs GPAW, whose atomic solver computes the orbitals of
every neutral atom.

The oxidation state of an element is the one that it has in most compounds of the two datasets, each compound counted
once with the first charge-balanced assignment of `charge_assignments`. An element without a balanced compound gets its
most common state in the ICSD, of the sign that its sites ask for: A, B and C positive, D negative, and the other way
round where D is a metal (anti-perovskites).

To choose states of your own, edit the column ``oxidation_state`` of a copy and run ``atomic_levels.py --keep-orbitals
--states COPY --output FOLDER``: without GPAW, in seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from aiida_perovskite.chemistry import Composition, charge_assignments
from aiida_perovskite.chemistry.atomic_levels import (
    AtomicLevel,
    AtomicOrbital,
    LevelTableError,
    ion_level,
    load_atomic_orbitals,
)
from aiida_perovskite.chemistry.ions import tabulated_states
from aiida_perovskite.datasets import load_dataset

CHEMISTRY = Path(__file__).parents[1] / "aiida_perovskite" / "chemistry"
DATASETS = ("mp-abc2d6-legacy2023", "mp-abc2d6-2026")
DIGITS = 4  # of an energy in eV: far more than the approximation is worth, few enough to read
LAST_OF_NIST = 92  # uranium
KINDS = {1: "cation ", -1: "anion ", 0: ""}
Orbitals = Mapping[str, tuple[AtomicOrbital, ...]]
States = dict[str, tuple[int, str]]  # element -> oxidation state and its source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], metavar="DATASET=PATH", help="a dataset's file")
    parser.add_argument("--states", type=Path, help="CSV with symbol and oxidation_state, instead of the datasets")
    parser.add_argument("--only", help="compute the orbitals of these elements (Au,Tl) and keep the others")
    parser.add_argument("--keep-orbitals", action="store_true", help="compute no orbitals: take the shipped ones")
    parser.add_argument("--output", type=Path, default=CHEMISTRY, help="folder of the two tables")
    options = parser.parse_args()

    states = read_states(options.states) if options.states else common_states(formulas(options.file))
    orbitals = dict(load_atomic_orbitals()) if options.keep_orbitals or options.only else {}
    wanted = [] if options.keep_orbitals else options.only.split(",") if options.only else solvable_elements()
    for symbol in wanted:
        orbitals[symbol] = solve(symbol)
        print(f"{symbol}: {orbitals[symbol][-1].orbital} at {orbitals[symbol][-1].energy_ev:.2f} eV", flush=True)
    numbers = {symbol: sum(row.electrons for row in rows) for symbol, rows in orbitals.items()}
    order = sorted(orbitals, key=numbers.__getitem__)
    write(options.output / "atomic_orbitals.csv", AtomicOrbital, [row for symbol in order for row in orbitals[symbol]])
    levels = [level for symbol in order if symbol in states for level in [levels_of(symbol, states[symbol], orbitals)]]
    write(options.output / "atomic_levels.csv", AtomicLevel, levels)
    unknown = [symbol for symbol in order if symbol not in states]
    print(f"{len(orbitals)} atoms, {len(levels)} ions; no oxidation state is known of: {', '.join(unknown)}")


def formulas(files: Sequence[str]) -> list[str]:
    """Return the distinct compounds of the datasets."""
    given = dict(entry.split("=", 1) for entry in files)
    return sorted({formula for name in DATASETS for formula in load_dataset(name, given.get(name)).frame["formula"]})


def common_states(compounds: Iterable[str]) -> States:
    """Return the state that each element has in most compounds, for all elements that any table knows."""
    votes: dict[str, Counter[int]] = {}
    signs: dict[str, Counter[int]] = {}
    for formula in compounds:
        composition = Composition.parse(formula)
        for symbol, sign in zip(composition.elements, asked_signs(composition), strict=True):
            signs.setdefault(symbol, Counter())[sign] += 1
        for charges in charge_assignments(composition)[:1]:
            for symbol, charge in zip(composition.elements, charges, strict=True):
                votes.setdefault(symbol, Counter())[charge] += 1
    states = {}
    for symbol in solvable_elements():
        shares = tabulated_states(symbol, "")  # beside no anion in particular: those of the ICSD
        if symbol in votes:
            count, states_of = votes[symbol].total(), votes[symbol]
            state = max(states_of, key=lambda charge: (states_of[charge], shares.get(charge, 0.0)))
            states[symbol] = state, f"{states_of[state]} of {count} charge-balanced compounds"
        elif shares:
            (sign, _), *_ = signs.get(symbol, Counter({0: 1})).most_common()
            state = max(shares, key=lambda charge: (charge * sign >= 0, shares[charge]))
            states[symbol] = state, f"no charge-balanced compound; most common {KINDS[sign]}in the ICSD (SMACT, 2024)"
    return states


def asked_signs(composition: Composition) -> tuple[int, int, int, int]:
    """Return the signs of the charges that the sites ask for: turned round where D is an element of cations only."""
    metal_on_d = min(tabulated_states(composition.d, ""), default=0) > 0
    return (-1, -1, -1, 1) if metal_on_d else (1, 1, 1, -1)


def read_states(path: Path) -> States:
    """Return the states that a table names, with its own reason where it gives one."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {
            row["symbol"]: (int(row["oxidation_state"]), row.get("state_source") or f"chosen in {path.name}")
            for row in csv.DictReader(file)
        }


def solvable_elements() -> list[str]:
    """Return the symbols of the elements up to nobelium, for which GPAW has the configuration of the atom."""
    from pymatgen.core.periodic_table import Element

    return [Element.from_Z(number).symbol for number in range(1, 103)]


def solve(symbol: str) -> tuple[AtomicOrbital, ...]:
    """Compute the orbitals of a neutral atom, first without relativity, then scalar-relativistically."""
    from gpaw.atom.aeatom import AllElectronAtom

    with open(os.devnull, "w", encoding="utf-8") as log:
        atom = AllElectronAtom(symbol, xc="LDA", log=log)
        atom.run(maxiter=400)
        plain = energies(atom)
        source = f"scalar-relativistic LDA, GPAW {metadata.version('gpaw')}"
        try:
            atom.refine()
            relativistic = energies(atom)
        except (AssertionError, RuntimeError, ArithmeticError) as error:
            relativistic, source = fallback(symbol, plain, f"{type(error).__name__}")
    if any(energy >= 0 for energy, _ in relativistic.values()):
        relativistic, source = fallback(symbol, plain, "an occupied orbital is not bound")
    rows = [
        AtomicOrbital(symbol, name, electrons, round(energy, DIGITS), round(plain[name][0], DIGITS), source)
        for name, (energy, electrons) in relativistic.items()
    ]
    return tuple(sorted(rows, key=lambda row: row.energy_ev))


def energies(atom: Any) -> dict[str, tuple[float, int]]:
    """Return orbital -> energy (eV) and electrons, of the orbitals that hold some."""
    from ase.units import Hartree

    return {
        f"{index + channel.l + 1}{'spdf'[channel.l]}": (float(energy) * Hartree, round(float(electrons)))
        for channel in atom.channels
        for index, (energy, electrons) in enumerate(zip(channel.e_n, channel.f_n, strict=False))
        if electrons > 0
    }


def fallback(symbol: str, plain: dict[str, tuple[float, int]], reason: str) -> tuple[dict[str, tuple[float, int]], str]:
    """Return the energies of NIST's LDA tables, without relativity, or else the solver's own without relativity."""
    from pymatgen.core.periodic_table import Element

    why = f"not relativistic, since the relativistic solution failed ({reason})"
    tabulated = Element(symbol).atomic_orbitals_eV if Element(symbol).Z <= LAST_OF_NIST else {}
    if all(name in tabulated for name in plain):
        return {name: (tabulated[name], electrons) for name, (_, electrons) in plain.items()}, f"LDA of NIST; {why}"
    return plain, f"LDA, GPAW {metadata.version('gpaw')}; {why}"


def levels_of(symbol: str, state: tuple[int, str], orbitals: Orbitals) -> AtomicLevel:
    """Return the levels of an ion, with the reason of its state."""
    level = ion_level(symbol, state[0], orbitals)
    if level.homo_ev > level.lumo_ev:
        raise LevelTableError(f"{symbol}{state[0]:+d}: the HOMO lies above the LUMO, look at its orbitals")
    return replace(level, state_source=state[1])


def write(path: Path, kind: type, rows: Sequence[Any]) -> None:
    """Replace a table as a whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
