"""The parametric constraints of a structure, from its space group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.parametric import (
    TOLERANCE,
    Array,
    ParametricBlock,
    Triple,
    parametric_from_text,
    read_parametric,
)

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["ParametricBlock", "parametric_block", "parametric_from_text", "read_parametric"]

GRID = 24  # special positions and fcc, bcc, ... lattice vectors are multiples of 1/24
SNAP = TOLERANCE / 2  # from such a multiple; half, so that snapping alone cannot break the agreement
DIGITS = 12  # of a written coefficient
LATTICE_NAMES = "abcdef"  # a symmetric strain has six components


def parametric_block(atoms: Atoms, symprec_angstrom: float = 1e-3) -> ParametricBlock:
    """Return the constraints that keep a structure within its space group, whatever this is.

    The atoms may stand in any order, outside the cell, and the origin anywhere. The invariant displacements and strains
    are the images of the projections that average over the operations of the group. Initial moments are not looked at.

    Parameters
    ----------
    atoms
        A periodic structure. A double perovskite in Fm-3m gets the parameters ``a`` (the cubic lattice constant, in
        Angstrom) and ``x``.
    symprec_angstrom
        By how much atoms may be off their symmetric positions.

    Raises
    ------
    ValueError
        If the structure has no symmetry, or is too far from the symmetry that was found.
    """
    from spglib import get_symmetry_dataset
    from spglib.error import SpglibError

    fractions: Array = atoms.get_scaled_positions(wrap=False)  # type: ignore[no-untyped-call]
    crystal: Any = (atoms.cell.array, fractions, atoms.numbers)  # spglib's hints ask for lists, its code for arrays
    try:
        dataset = get_symmetry_dataset(crystal, symprec=symprec_angstrom)
    except SpglibError:  # or None, by the setting of spglib
        dataset = None
    if dataset is None:
        raise ValueError("no space group was found: atoms coincide, or the cell has no volume")
    if len(dataset.rotations) == 1:
        raise ValueError("the structure has no symmetry (space group P1): relax it without constraints")
    conventional = float(np.linalg.norm(dataset.std_lattice[0]))
    cell_basis = _cell_basis(atoms.cell.array, dataset.rotations, conventional)
    constant, basis = _fraction_basis(fractions, atoms.numbers, dataset.rotations, dataset.translations)
    lattice_names = tuple(LATTICE_NAMES[: len(cell_basis)])
    fraction_names = ("x",) if len(basis) == 1 else tuple(f"x{number + 1}" for number in range(len(basis)))
    block = ParametricBlock(
        lattice_names,
        fraction_names,
        _expressions(lattice_names, np.zeros(9), cell_basis),
        _expressions(fraction_names, constant, basis),
    )
    block.check(atoms.cell.array, fractions)
    return block


def _cell_basis(cell: Array, rotations: NDArray[np.int32], conventional_angstrom: float) -> Array:
    """Return the lattice vectors that keep the symmetry, shape (parameters, 9), as a basis.

    One parameter is the lattice constant of the conventional cell; of several, each is a component of a lattice vector.
    """
    # Lattice vectors are rows: the metric of the rotated lattice is R^T G R.
    metric = np.mean([rotation.T @ cell @ cell.T @ rotation for rotation in rotations], axis=0)
    triangular = np.linalg.cholesky(metric)
    left, _, right = np.linalg.svd(triangular.T @ cell)
    cell = triangular @ left @ right  # with the averaged metric, turned onto the given one
    turns = [cell.T @ rotation @ np.linalg.inv(cell.T) for rotation in rotations]
    strains = [np.mean([turn @ strain @ turn.T for turn in turns], axis=0) for strain in _unit_strains()]
    basis = _reduced([(cell @ strain).ravel() for strain in strains])
    if len(basis) == 1:
        basis = cell.reshape(1, 9) / conventional_angstrom
    return _snapped(basis)


def _unit_strains() -> list[Array]:
    """Return the six independent symmetric strains."""
    unit = np.eye(3)
    return [np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i]) for i in range(3) for j in range(i, 3)]


def _fraction_basis(
    fractions: Array, numbers: NDArray[np.int_], rotations: NDArray[np.int32], translations: Array
) -> tuple[Array, Array]:
    """Return constants (3 n) and basis (parameters, 3 n) of symmetric coordinates; each parameter is in [0, 1/2]."""
    n_atoms = len(fractions)
    projection = np.zeros((n_atoms, 3, n_atoms, 3))
    symmetric = np.zeros((n_atoms, 3))
    for rotation, translation in zip(rotations, translations, strict=True):
        images = fractions @ rotation.T + translation
        apart = images[:, None] - fractions[None]
        apart -= np.round(apart)
        apart[numbers[:, None] != numbers[None]] = np.inf
        target = np.abs(apart).max(axis=2).argmin(axis=1)
        projection[target, :, np.arange(n_atoms), :] += rotation
        symmetric[target] += images - np.round(images - fractions[target])
    count = len(rotations)
    basis = _reduced(projection.reshape(3 * n_atoms, 3 * n_atoms).T / count)
    free = (symmetric / count).ravel()
    constant = free.copy()
    for row in basis:
        # The pivot's coordinate is +-p + integer with p in [0, 1/2]: x, not 1 - x, wherever the atom was wrapped to.
        pivot = int(np.flatnonzero(row)[0])
        shift = np.round(free[pivot])
        constant -= (free[pivot] - shift) * row
        if free[pivot] < shift:
            row *= -1
    return _snapped(constant), basis


def _reduced(rows: Sequence[Array] | Array) -> Array:
    """Return the reduced row echelon form of the rows, without those that are zero."""
    matrix = np.array(rows, dtype=float)
    scale = max(float(np.abs(matrix).max()), 1e-300)
    rank = 0
    for column in range(matrix.shape[1]):
        if rank == len(matrix):
            break
        pivot = rank + int(np.abs(matrix[rank:, column]).argmax())
        if abs(matrix[pivot, column]) < 1e-8 * scale:  # rounding of sums of a few numbers of order `scale`
            continue
        matrix[[rank, pivot]] = matrix[[pivot, rank]]
        matrix[rank] /= matrix[rank, column]
        others = np.arange(len(matrix)) != rank
        matrix[others] -= np.outer(matrix[others, column], matrix[rank])
        rank += 1
    reduced: Array = np.round(matrix[:rank], DIGITS) + 0.0
    return reduced


def _snapped(numbers: Array) -> Array:
    """Return the numbers as multiples of 1/24 if they all are, but for the noise of a relaxation."""
    near = np.round(numbers * GRID) / GRID
    snapped: Array = near if np.abs(near - numbers).max() < SNAP else np.round(numbers, DIGITS)
    return snapped + 0.0


def _expressions(names: tuple[str, ...], constant: Array, basis: Array) -> tuple[Triple, ...]:
    """Return the linear expressions, three by three."""
    texts = [_expression(names, *column) for column in np.vstack([constant[None], basis]).T.tolist()]
    return tuple((x, y, z) for x, y, z in zip(texts[::3], texts[1::3], texts[2::3], strict=True))


def _expression(names: tuple[str, ...], constant: float, *coefficients: float) -> str:
    """Return e.g. ``1.0-x``, ``a/2.0`` or ``0.25``."""
    terms = [_decimal(constant)] if constant else []
    for name, coefficient in zip(names, coefficients, strict=True):
        size, sign = abs(coefficient), "-" if coefficient < 0 else "+"
        divisor = round(1 / size) if size > 1 / GRID else 0
        if size == 0:
            continue
        if divisor and abs(size * divisor - 1) < 10.0 ** (1 - DIGITS):
            terms.append(f"{sign}{name}" if divisor == 1 else f"{sign}{name}/{divisor}.0")
        else:
            terms.append(f"{sign}{_decimal(size)}*{name}")
    return "".join(terms).removeprefix("+") or "0.0"


def _decimal(number: float) -> str:
    """Return a number without exponent, which an expression could not hold, with at least one decimal."""
    text = f"{number:.{DIGITS}f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
