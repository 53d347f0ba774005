"""Decomposition enthalpy: what a compound gains or loses when it falls apart into other phases.

Energies mean something only beside energies of the same engine, protocol and functional, so `PhaseEnergy` carries the
three and a mixture is refused. Nothing that is not known becomes a number: a competing phase without an energy
turns into the sentence `DecompositionEnthalpy.limit`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from aiida_perovskite.chemistry.composition import Composition, CompositionError
from aiida_perovskite.chemistry.phases import atom_counts, binary_decomposition, reduced_formula

__all__ = [
    "METASTABLE_MEV_PER_ATOM",
    "DecompositionEnthalpy",
    "PhaseEnergy",
    "cost_of_including",
    "decomposition_enthalpy",
]

METASTABLE_MEV_PER_ATOM = -50.0
"""Lowest decomposition enthalpy of what still counts as metastable."""

_BALANCE_TOLERANCE = 1e-6  # atoms per formula unit
_LARGEST_DENOMINATOR = 1000  # of the moles of a balanced reaction
_ROUNDING = 1e-9  # of the solver, moles
_INFEASIBLE = 2  # status of scipy's linprog
_TERM = re.compile(r"\s*(?P<count>\d+\s*/\s*0*[1-9]\d*|\d*\.?\d+)?\s*\*?\s*(?P<formula>[A-Z(][A-Za-z0-9.()]*)\s*")


@dataclass(frozen=True)
class PhaseEnergy:
    """Energy of one phase and how it was computed.

    Attributes
    ----------
    formula
        Any spelling.
    energy_ev_per_atom
        Total or formation energy; of one kind for all phases that are compared.
    engine, protocol, functional
        What must agree between energies that are compared, e.g. ``gpaw``, ``fast`` and ``PBE``.
    """

    formula: str
    energy_ev_per_atom: float
    engine: str
    protocol: str
    functional: str

    @property
    def method(self) -> tuple[str, str, str]:
        """Engine, protocol and functional."""
        return self.engine, self.protocol, self.functional


@dataclass(frozen=True)
class DecompositionEnthalpy:
    """Outcome of `decomposition_enthalpy`.

    Attributes
    ----------
    formula
        The compound, as pymatgen reduces it.
    mev_per_atom
        E(products) - E(compound) in meV per atom of the compound, positive if the compound is stable; None if it is
        not known, and `limit` says why.
    products
        Reduced formula -> moles per mole of the compound's reduced formula; empty if no reaction is known.
    kind
        ``stated``: one reaction. ``convex hull``: the most favourable one that the phases offered allow.
    phases
        Reduced formulas of all competitors within the compound's elements that have an energy.
    missing
        Phases that are expected or stated and have no energy.
    limit
        What the result does not cover, in a sentence; empty if there is no such limit.
    method
        Engine, protocol and functional of the energies; None if they came as plain numbers.
    metastable_mev_per_atom
        Where `verdict` ends metastable.
    """

    formula: str
    mev_per_atom: float | None
    products: Mapping[str, float]
    kind: Literal["stated", "convex hull"]
    phases: tuple[str, ...]
    missing: tuple[str, ...]
    limit: str
    method: tuple[str, str, str] | None
    metastable_mev_per_atom: float

    @property
    def stable(self) -> bool | None:
        """Whether the enthalpy is positive; None if it is not known."""
        return None if self.mev_per_atom is None else self.mev_per_atom > 0

    @property
    def verdict(self) -> Literal["stable", "metastable", "unstable", "unknown"]:
        """Stable above 0, metastable down to `metastable_mev_per_atom`, unstable below."""
        if self.mev_per_atom is None:
            return "unknown"
        if self.mev_per_atom > 0:
            return "stable"
        return "metastable" if self.mev_per_atom >= self.metastable_mev_per_atom else "unstable"

    @property
    def reaction(self) -> str:
        """The reaction in writing, e.g. ``Cs2AgBiBr6 -> 2 CsBr + AgBr + BiBr3``; empty if none is known."""
        if not self.products:
            return ""
        return f"{self.formula} -> " + " + ".join(_term(name, moles) for name, moles in self.products.items())


def decomposition_enthalpy(
    formula: str,
    energies_ev_per_atom: Mapping[str, float] | Mapping[str, PhaseEnergy],
    reaction: str | Iterable[str] | Mapping[str, float] | None = None,
    *,
    expected: Iterable[str] | None = None,
    metastable_mev_per_atom: float = METASTABLE_MEV_PER_ATOM,
) -> DecompositionEnthalpy:
    """Compare a compound with what it may decompose into.

    Parameters
    ----------
    formula
        The compound, in any spelling.
    energies_ev_per_atom
        Formula, in any spelling -> energy in eV per atom, or `PhaseEnergy`: the compound and its competitors. Phases
        with other elements are ignored.
    reaction
        None for the most favourable decomposition into the phases given: a linear programme, whose value is the
        compound's distance from the convex hull of the others. Or one reaction: ``"binary"`` (into the binaries of
        the likely charges), a list of products that is balanced here, a mapping product -> moles per formula unit of
        the compound, or a text such as ``"2 CsBr + AgBr + BiBr3"``, with or without ``"Cs2AgBiBr6 ->"`` before it.
    expected
        Without a reaction: phases that compete; those without an energy are listed in ``missing``. By default the
        binaries of a double perovskite. (With too few competitors the enthalpy comes out too high.)
    metastable_mev_per_atom
        Lowest enthalpy that counts as metastable.

    Returns
    -------
    DecompositionEnthalpy
        With ``mev_per_atom`` None and a sentence in ``limit`` where a phase that is needed has no energy.

    Raises
    ------
    ValueError
        If a formula cannot be read or occurs twice, an energy is no finite number, the compound has no energy,
        energies of different methods are mixed, or a reaction does not balance.

    Examples
    --------
    >>> energies = {"Cs2AgBiBr6": -1.30, "CsBr": -2.0, "AgBr": -0.4, "BiBr3": -0.7}
    >>> result = decomposition_enthalpy("AgBiCs2Br6", energies, "binary")
    >>> result.reaction, round(result.mev_per_atom), result.verdict
    ('Cs2AgBiBr6 -> 2 CsBr + AgBr + BiBr3', 140, 'stable')
    """
    compound = reduced_formula(formula)
    energies, method = _read_energies(energies_ev_per_atom)
    if compound not in energies:
        raise ValueError(f"no energy is given for {compound} itself; it is needed beside those of its competitors")
    if not metastable_mev_per_atom <= 0:
        raise ValueError(f"metastable_mev_per_atom is {metastable_mev_per_atom:g}, but stable begins at 0; give <= 0")
    elements = set(atom_counts(compound))
    own = energies.pop(compound)
    competitors = {name: energy for name, energy in sorted(energies.items()) if set(atom_counts(name)) <= elements}
    if reaction is None:
        wanted = _default_expected(compound) if expected is None else expected
        missing = sorted({reduced_formula(name) for name in wanted} - competitors.keys() - {compound})
        products = _most_favourable(compound, own, competitors)
        limit = _hull_limit(compound, competitors, products, missing)
    else:
        products, limit = _stated_products(compound, reaction)
        missing = sorted(products.keys() - competitors.keys())
        if missing:
            limit = f"no energy is given for {', '.join(missing)}, so this reaction of {compound} has no enthalpy"
    known = bool(products) and products.keys() <= competitors.keys()
    return DecompositionEnthalpy(
        formula=compound,
        mev_per_atom=_difference(compound, own, competitors, products) if known else None,
        products=products,
        kind="convex hull" if reaction is None else "stated",
        phases=tuple(competitors),
        missing=tuple(missing),
        limit=limit,
        method=method,
        metastable_mev_per_atom=metastable_mev_per_atom,
    )


def _read_energies(
    given: Mapping[str, float] | Mapping[str, PhaseEnergy],
) -> tuple[dict[str, float], tuple[str, str, str] | None]:
    """Map reduced formulas to energies in eV per atom, and give the one method of all of them."""
    energies: dict[str, float] = {}
    methods: dict[tuple[str, str, str] | None, str] = {}
    for key, value in given.items():
        name = reduced_formula(key)
        if name in energies:
            raise ValueError(f"{name} is given twice (once as {key}); give its lowest energy only")
        if isinstance(value, PhaseEnergy):
            if reduced_formula(value.formula) != name:
                raise ValueError(f"the energy given for {key} is that of {value.formula}")
            methods.setdefault(value.method, key)
            value = value.energy_ev_per_atom
        else:
            methods.setdefault(None, key)
        # bool is an int for Python; an energy that is one is a slip.
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not math.isfinite(value):
            raise ValueError(f"the energy of {key} is {value!r}; give a finite number of eV per atom")
        energies[name] = float(value)
    if len(methods) > 1:
        (one, first), (other, second) = list(methods.items())[:2]
        raise ValueError(
            f"the energies of {first} ({_describe(one)}) and {second} ({_describe(other)}) cannot be compared; "
            "compute all phases with one engine, protocol and functional"
        )
    return energies, next(iter(methods), None)


def _describe(method: tuple[str, str, str] | None) -> str:
    return "a plain number" if method is None else ", ".join(method)


def _default_expected(compound: str) -> Iterable[str]:
    """Name the binaries of a double perovskite; nothing is expected of other compounds."""
    try:
        return binary_decomposition(Composition.parse(compound))
    except CompositionError:
        return ()


def _hull_limit(
    compound: str, competitors: Mapping[str, float], products: Mapping[str, float], missing: Iterable[str]
) -> str:
    absent = ", ".join(missing)
    if not products:
        offered = ", ".join(competitors) or "none"
        wanted = f"; no energy is given for {absent}" if absent else ""
        return f"no combination of the phases offered ({offered}) has the composition of {compound}{wanted}"
    return f"an upper bound: no energy is given for {absent}, which may compete as well" if absent else ""


def _most_favourable(compound: str, own: float, competitors: Mapping[str, float]) -> dict[str, float]:
    """Find the mixture of competitors with the compound's composition and the lowest energy; empty if there is none."""
    from scipy.optimize import linprog

    names = list(competitors)
    if not names:
        return {}
    elements = sorted(atom_counts(compound))
    fractions = np.array([_counts(name, elements) for name in names])
    fractions /= fractions.sum(axis=1, keepdims=True)
    target = np.array(_counts(compound, elements))
    target /= target.sum()
    energies = np.array(list(competitors.values()))
    # A function linear in the composition shifts all mixtures alike. Without it, all-electron total energies of 1e5 eV
    # leave differences of meV within the solver's tolerances.
    everything = np.vstack([fractions, target])
    references = np.linalg.lstsq(everything, np.append(energies, own), rcond=None)[0]
    solution = linprog(energies - fractions @ references, A_eq=fractions.T, b_eq=target, method="highs-ds")
    if solution.status == _INFEASIBLE:
        return {}
    if not solution.success:
        raise ValueError(f"the linear programme for {compound} was not solved: {solution.message}")
    used = [index for index, weight in enumerate(solution.x) if weight > _BALANCE_TOLERANCE]
    return _balance(compound, [names[index] for index in used])


def cost_of_including(formula: str, energies_ev_per_atom: Mapping[str, float]) -> dict[str, float]:
    """Say for each competitor how much a mixture of the compound's composition loses that holds a lot of it.

    A lot is half of the most that the composition allows. What the cheapest mixture is made of costs nothing; a phase
    that costs much more than the error of the energies cannot take part in the decomposition, however stable it is.

    Parameters
    ----------
    formula
        The compound, in any spelling.
    energies_ev_per_atom
        Reduced formula -> energy in eV per atom of the competitors.

    Returns
    -------
    dict
        Reduced formula -> meV per atom of the mixture; phases that no mixture can hold are left out.
    """
    from scipy.optimize import linprog

    names = list(energies_ev_per_atom)
    elements = sorted(atom_counts(reduced_formula(formula)))
    fractions = np.array([_counts(name, elements) for name in names])
    fractions /= fractions.sum(axis=1, keepdims=True)
    target = np.array(_counts(reduced_formula(formula), elements))
    balance: dict[str, Any] = {"A_eq": fractions.T, "b_eq": target / target.sum(), "method": "highs-ds"}
    energies = np.array([energies_ev_per_atom[name] for name in names])
    lowest = linprog(energies, **balance)
    if not lowest.success:
        return {}
    costs = {}
    for index, name in enumerate(names):
        most = -linprog(-np.eye(len(names))[index], **balance).fun
        if most < _BALANCE_TOLERANCE:
            continue
        bounds = [(most / 2 if other == index else 0.0, None) for other in range(len(names))]
        costs[name] = 1000 * max(0.0, float(linprog(energies, bounds=bounds, **balance).fun - lowest.fun))
    return costs


def _stated_products(
    compound: str, reaction: str | Iterable[str] | Mapping[str, float]
) -> tuple[dict[str, float], str]:
    """Give the balanced products of a stated reaction, and a sentence where there is none."""
    if reaction == "binary":
        try:
            products = binary_decomposition(Composition.parse(compound))
        except CompositionError as error:
            raise ValueError(f"'binary' needs a double perovskite ABC2D6: {error}") from error
        if not products:
            return {}, f"no likely charges make {compound} neutral, so it has no reaction into binaries"
        return products, ""
    if isinstance(reaction, str):
        return _checked(compound, _parse_reaction(compound, reaction)), ""
    if isinstance(reaction, Mapping):
        return _checked(compound, list(reaction.items())), ""
    return _balance(compound, [_product(compound, name) for name in reaction]), ""


def _parse_reaction(compound: str, text: str) -> list[tuple[str, float]]:
    """Read ``2 CsBr + AgBr``, or ``2 X -> ...`` whose moles are divided by those of the compound."""
    left, arrow, right = text.replace("→", "->").rpartition("->")
    moles = 1.0
    if arrow:
        name, moles = _read_term(text, left)
        if reduced_formula(name) != compound or moles == 0:
            raise ValueError(f"the reaction {text!r} does not start from {compound}")
        moles *= sum(atom_counts(name, reduce=False).values()) / sum(atom_counts(compound).values())
    return [(name, count / moles) for name, count in (_read_term(text, term) for term in right.split("+"))]


def _read_term(reaction: str, term: str) -> tuple[str, float]:
    found = _TERM.fullmatch(term)
    if found is None:
        raise ValueError(f"cannot read {term.strip()!r} in the reaction {reaction!r}; write 2 CsBr + AgBr + BiBr3")
    count = Fraction("".join((found["count"] or "1").split()))
    return found["formula"], float(count)


def _product(compound: str, name: str) -> str:
    product = reduced_formula(name)
    if product == compound:
        raise ValueError(f"{compound} cannot be among the products of its own decomposition")
    return product


def _checked(compound: str, stated: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Reduce stated products and refuse a reaction that does not balance."""
    products: dict[str, float] = {}
    for name, moles in stated:
        if not (isinstance(moles, (int, float, np.number)) and math.isfinite(moles) and moles > 0):
            raise ValueError(f"the reaction has {moles!r} of {name}; the moles of a product are a positive number")
        # Moles are of the formula as it is written; what is returned is of the reduced one.
        product = _product(compound, name)
        units = sum(atom_counts(name, reduce=False).values()) / sum(atom_counts(product).values())
        products[product] = products.get(product, 0.0) + float(moles) * units
    left = atom_counts(compound)
    right: dict[str, float] = {}
    for product, moles in products.items():
        for element, count in atom_counts(product).items():
            right[element] = right.get(element, 0.0) + moles * count
    for element in sorted(left.keys() | right.keys()):
        before, after = left.get(element, 0), right.get(element, 0.0)
        if abs(before - after) > _BALANCE_TOLERANCE:
            raise ValueError(
                f"the reaction of {compound} does not balance: {before:g} {element} before, {after:g} after; "
                "correct the moles, or give a list of products to have it balanced"
            )
    return products


def _balance(compound: str, products: list[str]) -> dict[str, float]:
    """Give the one set of positive moles that balances; phases that take no part are left out."""
    products = list(dict.fromkeys(products))
    elements = sorted({element for name in [compound, *products] for element in atom_counts(name)})
    columns = np.array([_counts(name, elements) for name in products]).T.reshape(len(elements), len(products))
    target = np.array(_counts(compound, elements))
    listed = ", ".join(products) or "nothing"
    absent = [element for element, row in zip(elements, columns, strict=True) if not row.any()]
    if absent:
        raise ValueError(f"{compound} cannot become {listed}: no product holds {absent[0]}")
    moles, _, rank, _ = np.linalg.lstsq(columns, target, rcond=None)
    off = columns @ moles - target
    worst = int(np.argmax(np.abs(off)))
    if abs(off[worst]) > _BALANCE_TOLERANCE:
        raise ValueError(
            f"no amounts of {listed} balance {compound}: the closest hold {target[worst] + off[worst]:.3g} "
            f"{elements[worst]} instead of {target[worst]:g}; change or add a product"
        )
    if rank < len(products):
        raise ValueError(f"{compound} can become {listed} in more than one ratio; give the moles of each product")
    if moles.min() < -_BALANCE_TOLERANCE:
        name = products[int(np.argmin(moles))]
        raise ValueError(f"{compound} would have to take up {name}, not give it off; leave {name} out")
    # The solver leaves 0.9999999999999989 where a reader expects 1.
    simple = [float(Fraction(float(count)).limit_denominator(_LARGEST_DENOMINATOR)) for count in moles]
    exact = [near if abs(near - count) < _ROUNDING else float(count) for near, count in zip(simple, moles, strict=True)]
    return {name: count for name, count in zip(products, exact, strict=True) if count > _BALANCE_TOLERANCE}


def _difference(compound: str, own: float, competitors: Mapping[str, float], products: Mapping[str, float]) -> float:
    """Give E(products) - E(compound) in meV per atom of the compound."""
    atoms = sum(atom_counts(compound).values())
    # Differences before sums: large total energies cancel where they are closest.
    shares = {name: moles * sum(atom_counts(name).values()) / atoms for name, moles in products.items()}
    return 1000.0 * math.fsum(share * (competitors[name] - own) for name, share in shares.items())


def _counts(name: str, elements: list[str]) -> list[float]:
    counts = atom_counts(name)
    return [float(counts.get(element, 0)) for element in elements]


def _term(name: str, moles: float) -> str:
    exact = Fraction(moles).limit_denominator(1000)
    count = str(exact) if abs(float(exact) - moles) < _BALANCE_TOLERANCE else f"{moles:.4g}"
    return name if count == "1" else f"{count} {name}"
