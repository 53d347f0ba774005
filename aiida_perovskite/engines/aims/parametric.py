"""Parametric constraints: the block of ``geometry.in`` that keeps a relaxation within its space group.

Lattice vectors and fractional coordinates are written as linear expressions of a few parameters (Lenz, Purcell et al.,
npj Comput. Mater. 5, 123, 2019). The values of the parameters are not in the block: they follow from the geometry.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ParametricBlock", "parametric_from_text", "read_parametric"]

Array = NDArray[np.float64]
Triple = tuple[str, str, str]

TOLERANCE = 1e-4  # between geometry and constraints: in fractions of the lattice vectors, and relative for the cell
MAX_LENGTH = 500  # of an expression: longer ones are damage, and deep nesting would exhaust the stack


@dataclass(frozen=True)
class ParametricBlock:
    """Constraints on the cell and on the fractional coordinates of each atom.

    Attributes
    ----------
    lattice_params, fraction_params
        Names of the parameters of the cell (Angstrom) and of the coordinates.
    lattice
        Three expressions for each lattice vector, in Angstrom.
    fractions
        Three expressions for each atom, in its order.
    """

    lattice_params: tuple[str, ...]
    fraction_params: tuple[str, ...]
    lattice: tuple[Triple, ...]
    fractions: tuple[Triple, ...]

    @property
    def text(self) -> str:
        """The block as lines of ``geometry.in``."""
        counts = len(self.lattice_params), len(self.fraction_params)
        lines = [
            f"symmetry_n_params {sum(counts)} {counts[0]} {counts[1]}",
            f"symmetry_params {' '.join((*self.lattice_params, *self.fraction_params))}".rstrip(),
            *(f"symmetry_lv {' , '.join(vector)}" for vector in self.lattice),
            *(f"symmetry_frac {' , '.join(atom)}" for atom in self.fractions),
        ]
        return "".join(f"{line}\n" for line in lines)

    def as_pyfhiaims(self) -> dict[str, Any]:
        """Return the block as arguments of ``pyfhiaims.geometry.AimsGeometry``."""
        counts = len(self.lattice_params), len(self.fraction_params)
        return {
            "symmetry_n_params": (sum(counts), *counts),
            "symmetry_params": [*self.lattice_params, *self.fraction_params],
            "symmetry_lv": [list(vector) for vector in self.lattice],
            "symmetry_frac": [list(atom) for atom in self.fractions],
        }

    def evaluate(self, values: Mapping[str, float]) -> tuple[Array, Array]:
        """Return cell (3, 3) in Angstrom and fractional coordinates (n atoms, 3) at given values of the parameters.

        Raises
        ------
        ValueError
            If a parameter has no value.
        """
        missing = {*self.lattice_params, *self.fraction_params} - set(values)
        if missing:
            raise ValueError(f"the parameters {', '.join(sorted(missing))} have no value")
        cell, fractions = (
            constant + coefficients @ [float(values[name]) for name in names]
            for names, constant, coefficients in self._linear()
        )
        return cell, fractions

    def fit(self, cell: Array, fractions: Array) -> dict[str, float]:
        """Return the values of the parameters that come closest to a geometry, by least squares.

        Raises
        ------
        ValueError
            If the numbers of atoms differ or a parameter is in no expression.
        """
        if np.shape(fractions) != (len(self.fractions), 3):
            raise ValueError(
                f"the constraints are those of {len(self.fractions)} atoms, the structure has {len(fractions)}"
            )
        values: dict[str, float] = {}
        for given, (names, constant, coefficients) in zip((cell, fractions), self._linear(), strict=True):
            if not names:
                continue
            matrix = coefficients.reshape(-1, len(names))
            if np.linalg.matrix_rank(matrix) < len(names):
                raise ValueError(f"the geometry does not determine the parameters {', '.join(names)}")
            solution = np.linalg.lstsq(matrix, (np.asarray(given) - constant).ravel(), rcond=None)[0]
            values |= dict(zip(names, solution.tolist(), strict=True))
        return values

    def check(self, cell: Array, fractions: Array) -> dict[str, float]:
        """Return the parameters of a geometry that obeys the constraints within 1e-4, integers not taken off.

        Raises
        ------
        ValueError
            If it does not.
        """
        values = self.fit(cell, fractions)
        fitted_cell, fitted = self.evaluate(values)
        off_cell = np.abs(fitted_cell - cell).max() / np.linalg.norm(cell, axis=1).min()
        off = np.abs(fitted - fractions).max()
        if max(off_cell, off) > TOLERANCE:
            raise ValueError(
                f"the structure does not obey the symmetry constraints (cell off by {off_cell:.1e}, fractional "
                f"coordinates by {off:.1e}; at most {TOLERANCE:g}): symmetrise it, or relax it without them"
            )
        return values

    def _linear(self) -> tuple[tuple[tuple[str, ...], Array, Array], ...]:
        """Return names, constants (n, 3) and coefficients (n, 3, parameters) of the cell and of the coordinates."""
        parts = []
        for names, expressions in ((self.lattice_params, self.lattice), (self.fraction_params, self.fractions)):
            forms = np.array([[_linear_form(text, names) for text in row] for row in expressions])
            parts.append((names, forms[..., 0], forms[..., 1:]))
        return tuple(parts)


def read_parametric(text: str) -> ParametricBlock:
    """Return the constraints in the text of a ``geometry.in``, or of the block alone.

    Raises
    ------
    ValueError
        If there are none, a line is missing or malformed, or an expression is not linear in the parameters of its kind.
    """
    lines = [line.partition("#")[0].split(maxsplit=1) for line in text.splitlines()]
    found: dict[str, list[str]] = {}
    for keyword, *rest in filter(None, lines):
        if keyword.startswith("symmetry_"):
            found.setdefault(keyword, []).append("".join(rest))
    if not found.get("symmetry_n_params"):
        raise ValueError("the geometry holds no parametric constraints: `symmetry_n_params` is missing")
    try:
        total, n_lattice, n_fractions = map(int, found["symmetry_n_params"][0].split())
    except ValueError as error:
        raise ValueError("`symmetry_n_params` must give three whole numbers: all, of the cell, of the atoms") from error
    names = " ".join(found.get("symmetry_params", [])).split()
    if not (len(names) == len(set(names)) == total == n_lattice + n_fractions and min(n_lattice, n_fractions) >= 0):
        raise ValueError(f"`symmetry_n_params` and the {len(names)} names of `symmetry_params` contradict each other")
    block = ParametricBlock(
        tuple(names[:n_lattice]),
        tuple(names[n_lattice:]),
        tuple(map(_triple, found.get("symmetry_lv", []))),
        tuple(map(_triple, found.get("symmetry_frac", []))),
    )
    if len(block.lattice) != 3 or not block.fractions:
        raise ValueError("parametric constraints need three `symmetry_lv` lines and a `symmetry_frac` line per atom")
    block._linear()
    return block


def parametric_from_text(text: str, values: Mapping[str, float]) -> tuple[Array, Array]:
    """Return cell (3, 3) in Angstrom and fractional coordinates (n atoms, 3) from a block and its parameters.

    Raises
    ------
    ValueError
        As :func:`read_parametric`, or if a parameter has no value.
    """
    return read_parametric(text).evaluate(values)


def _triple(line: str) -> Triple:
    """Return three expressions that commas separate."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{line.strip()!r} does not give three expressions with commas between them")
    return parts[0], parts[1], parts[2]


def _linear_form(text: str, names: tuple[str, ...]) -> Array:
    """Return constant and coefficients of an expression that is linear in ``names``.

    Raises
    ------
    ValueError
        If it is anything but numbers and names with + - * / and brackets, or not linear.
    """
    try:
        if len(text) > MAX_LENGTH:
            raise ValueError("too long")
        form = _evaluate(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        allowed = ", ".join(names) or "none"
        raise ValueError(
            f"the symmetry constraint {text[:60]!r} is no linear expression of the parameters ({allowed}): {error}"
        ) from error
    if not np.isfinite(form).all():
        raise ValueError(f"the symmetry constraint {text[:60]!r} is not finite")
    return form


def _evaluate(node: ast.expr, names: tuple[str, ...]) -> Array:
    """Return constant and coefficients of a parsed expression; whatever is not arithmetic is refused."""
    form = np.zeros(1 + len(names))
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            form[0] = value
        case ast.Name(id=name) if name in names:
            form[1 + names.index(name)] = 1.0
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            form = -_evaluate(operand, names)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            form = _evaluate(operand, names)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            sign = 1.0 if isinstance(op, ast.Add) else -1.0
            form = _evaluate(left, names) + sign * _evaluate(right, names)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            first, second = _evaluate(left, names), _evaluate(right, names)
            if isinstance(op, ast.Mult) and not second[1:].any():
                form = first * second[0]
            elif isinstance(op, ast.Mult) and not first[1:].any():
                form = second * first[0]
            elif not second[1:].any() and second[0]:
                form = first / second[0]
            else:
                raise ValueError("it multiplies or divides by a parameter, or by zero")
        case _:
            raise ValueError("only numbers, parameters, + - * / and brackets are allowed")
    return form
