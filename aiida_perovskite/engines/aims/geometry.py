"""The text of ``geometry.in``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

    from aiida_perovskite.engines.aims.parametric import ParametricBlock

__all__ = ["geometry_text"]


def geometry_text(
    atoms: Atoms, initial_moments: Sequence[float] | None = None, symmetry: ParametricBlock | None = None
) -> str:
    """Return the text of ``geometry.in``, exact to 1e-12; equal structures give equal text.

    Written by pyfhiaims, without the header by which its own files differ from day to day. Atoms stand where they are
    in ``atoms``: nothing is wrapped into the cell.

    Parameters
    ----------
    atoms
        The structure, periodic in three directions. Its species labels are the symbols of the elements.
    initial_moments
        One moment per atom in Bohr magnetons; none is written where it is zero.
    symmetry
        Constraints on cell and coordinates, as :func:`.symmetry.parametric_block` finds them for the same atoms.

    Raises
    ------
    ValueError
        If the structure is not periodic or not finite, or moments or constraints are not those of its atoms.
    """
    from pyfhiaims.geometry.atom import FHIAimsAtom
    from pyfhiaims.geometry.geometry import AimsGeometry

    moments = np.zeros(len(atoms)) if initial_moments is None else np.asarray(initial_moments, dtype=float)
    _check(atoms, moments)
    fractions = atoms.get_scaled_positions(wrap=False)  # type: ignore[no-untyped-call]
    block = {}
    if symmetry is not None:
        symmetry.check(atoms.cell.array, fractions)
        block = symmetry.as_pyfhiaims()
    geometry = AimsGeometry(
        atoms=[
            FHIAimsAtom(symbol=symbol, position=position, fractional_position=fraction, initial_moment=moment)
            for symbol, position, fraction, moment in zip(
                atoms.get_chemical_symbols(), atoms.positions, fractions, moments, strict=True
            )
        ],
        lattice_vectors=atoms.cell.array,
        **block,
    )
    return f"{geometry.to_string()}\n"


def _check(atoms: Atoms, moments: np.ndarray) -> None:
    """Raise ValueError for what could not be written or would not be read."""
    if len(atoms) == 0 or not atoms.pbc.all():
        raise ValueError("the structure must hold atoms and be periodic in all three directions")
    if moments.shape != (len(atoms),):
        raise ValueError(f"give one initial moment for each of the {len(atoms)} atoms, not {moments.size}")
    if not all(np.isfinite(part).all() for part in (atoms.cell.array, atoms.positions, moments)):
        raise ValueError("the structure holds a number that is not finite")
    if abs(atoms.cell.volume) < 1e-6:  # Angstrom^3: no atom fits in
        raise ValueError("the cell of the structure has no volume")
