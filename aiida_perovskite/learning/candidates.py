"""Compounds that somebody chose, a generator for instance: which of them the screening can take, and why not others."""

from __future__ import annotations

from collections.abc import Iterable

from aiida_perovskite.chemistry import Composition, prototype_atoms

from .representation import PLACES

__all__ = ["NO_PLACE", "NO_RADII", "screenable"]

NO_PLACE = "no gap model takes hydrogen, noble gases, lanthanides, actinides and elements of period 7"
NO_RADII = "an ionic radius is not known, so there is no geometry to start from"


def screenable(formulas: Iterable[str]) -> tuple[list[Composition], dict[str, str]]:
    """Tell compounds that can be predicted and built from those that cannot.

    Whether a model has learned an element on its site, and whether a compound is worth computing, is for the rules of
    the funnel.

    Parameters
    ----------
    formulas
        Of compounds ABC2D6; one that comes again, A and B exchanged or not, is passed over.

    Returns
    -------
    taken
        In the order in which they came.
    refused
        Canonical formula -> `NO_PLACE` or `NO_RADII`.

    Raises
    ------
    CompositionError
        For a formula that is no ABC2D6.
    """
    taken: dict[str, Composition] = {}
    refused: dict[str, str] = {}
    for formula in formulas:
        composition = Composition.parse(formula)
        if reason := _obstacle(composition):
            refused[composition.formula] = reason
        else:
            taken[composition.formula] = composition
    return list(taken.values()), refused


def _obstacle(composition: Composition) -> str | None:
    if not set(composition.elements) <= set(PLACES):
        return NO_PLACE
    try:
        prototype_atoms(composition)
    except ValueError:
        return NO_RADII
    return None
