"""Calcfunctions of the decomposition enthalpy: which phases compete, which of them matter, what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiida.engine import calcfunction
from aiida.orm import Dict, List, SinglefileData, Str, StructureData

from aiida_perovskite.calculations.functions import json_file
from aiida_perovskite.data.table import CompositionTableData

if TYPE_CHECKING:
    from aiida_perovskite.photovoltaics import DecompositionEnthalpy

FORMATION_ENERGY = "formation_energy_ev_per_atom"  # column of a table of known phases


@calcfunction  # type: ignore[untyped-decorator]
def propose_phases(
    formula: Str, settings: Dict, known: CompositionTableData | None = None, structures: Dict | None = None
) -> Dict:
    """List the phases that compete with a compound.

    Parameters
    ----------
    settings
        ``max_structures`` per phase, ``max_atoms`` of a structure type that is tried (None or not given: any) and
        ``max_above_hull_mev_per_atom`` of known phases.
    known
        Table of the phases that exist (``formula``, ``formation_energy_ev_per_atom``). Without it every neutral
        formula with a structure type competes, whether or not such a compound was ever seen.
    structures
        Formula -> number of structures that the user gives.

    Returns
    -------
    Dict
        ``phases`` (formula, source), ``missing`` (formula, why) and ``notes``.
    """
    from aiida_perovskite.chemistry import Composition
    from aiida_perovskite.chemistry.phases import competing_compositions, phase_structures, reduced_formula

    compound = Composition.parse(formula.value)
    own = {reduced_formula(name) for name in (structures.get_dict() if structures else {})}
    notes = []
    if known is None:
        found = competing_compositions(compound)
        notes.append("which phases exist was not looked up: every neutral formula with a structure type competes")
    else:
        frame = known.to_frame()
        table = dict(zip(frame["formula"], frame[FORMATION_ENERGY], strict=True))
        found = competing_compositions(compound, _near_hull(compound, table, settings["max_above_hull_mev_per_atom"]))
    phases = [{"formula": phase.formula, "source": phase.source} for phase in found]
    phases += [{"formula": name, "source": "user"} for name in sorted(own - {phase.formula for phase in found})]
    max_atoms = settings.get_dict().get("max_atoms")
    small = ""
    if max_atoms is not None:
        small = f" in a cell of at most {max_atoms} atoms"
        notes.append(f"structure types of more than {max_atoms} atoms were not tried (setting max_atoms)")
    missing = []
    for phase in list(phases):
        if phase["formula"] not in own and not phase_structures(phase["formula"], 1, max_atoms):
            why = f"no structure type has this formula{small}; give a structure"
            missing.append({"formula": phase["formula"], "why": why})
            phases.remove(phase)
    return Dict({"phases": phases, "missing": missing, "notes": notes})


def _near_hull(compound: Any, table: dict[str, float], most_mev: float) -> list[str]:
    """Return the known phases within the compound's elements that are near the convex hull of the table."""
    from aiida_perovskite.chemistry.phases import atom_counts, reduced_formula
    from aiida_perovskite.photovoltaics import decomposition_enthalpy

    own = reduced_formula(compound.formula)
    inside = {
        name: float(energy)
        for name, energy in table.items()
        if set(atom_counts(name)) <= set(compound.elements) and name != own
    }
    chosen = []
    for name in inside:
        above = decomposition_enthalpy(name, inside, expected=()).mev_per_atom
        if above is None or above >= -most_mev:
            chosen.append(name)
    return chosen


@calcfunction  # type: ignore[untyped-decorator]
def write_phases_input(formula: Str, parameters: Dict, settings: Dict, **structures: StructureData) -> SinglefileData:
    """Write the structures of one phase for the relaxation script: the user's own, else the structure types."""
    from aiida_perovskite.chemistry.phases import phase_structures
    from aiida_perovskite.engines.chgnet import phases_input

    own = [(f"user {label}", node.get_ase()) for label, node in sorted(structures.items())]
    limits = settings["max_structures"], settings.get_dict().get("max_atoms")
    return json_file(phases_input(own or phase_structures(formula.value, *limits), parameters.get_dict()))


@calcfunction  # type: ignore[untyped-decorator]
def phase_moments(structure: StructureData) -> List:
    """Give the ions of a phase the moments of the free ions, Bohr magnetons, all parallel."""
    from aiida_perovskite.chemistry.ions import unpaired_electrons
    from aiida_perovskite.chemistry.phases import ionic_charges
    from aiida_perovskite.chemistry.space import HALIDES

    symbols = structure.get_ase().get_chemical_symbols()
    halides = sorted(set(symbols) & set(HALIDES))
    charges = ionic_charges(structure.get_formula(mode="hill_compact"), halides[0]) if len(halides) == 1 else {}
    moments = {symbol: unpaired_electrons(symbol, charge) for symbol, charge in charges.items()}
    return List([float(moments.get(symbol, 0)) for symbol in symbols])


@calcfunction  # type: ignore[untyped-decorator]
def choose_phases(formula: Str, proposal: Dict, settings: Dict, **relaxed: Dict) -> Dict:
    """Choose the phases whose energies the engine computes: the binaries, and what may take part in a decomposition.

    ``relaxed`` maps ``phase_<formula>`` to the results of the relaxations, whose energies of the force field say what a
    mixture loses that holds a phase. Output: ``chosen`` (formulas) and ``skipped`` (formula, cost in meV/atom).
    """
    from aiida_perovskite.photovoltaics import cost_of_including

    energies = {label.removeprefix("phase_"): node["energy_ev_per_atom"] for label, node in relaxed.items()}
    costs = cost_of_including(formula.value, energies) if energies else {}
    chosen, skipped = [], []
    for phase in proposal["phases"]:
        name = phase["formula"]
        if name not in energies:
            continue
        # Without a mixture of the compound's composition there are no costs: then everything is computed.
        if phase["source"] in ("binary", "user") or costs.get(name, 0.0) <= settings["max_cost_mev_per_atom"]:
            chosen.append(name)
        else:
            skipped.append({"formula": name, "cost_mev_per_atom": costs[name]})
    return Dict({"chosen": chosen, "skipped": skipped})


@calcfunction  # type: ignore[untyped-decorator]
def assess_stability(
    formula: Str,
    energy: Dict,
    proposal: Dict,
    choice: Dict,
    failures: Dict,
    known: CompositionTableData | None = None,
    **phases: Dict,
) -> Dict:
    """Compute the decomposition enthalpy by the binary reaction and against all phases offered.

    Parameters
    ----------
    energy
        Of the compound, as the engine's parser hands it out.
    failures
        Formula -> why a phase has no energy.
    known
        Table of the phases that exist, to compare the sign with; never subtracted from our energies.
    phases
        ``energy_<formula>`` and ``relaxed_<formula>`` Dicts.
    """
    from aiida_perovskite.photovoltaics import PhaseEnergy, decomposition_enthalpy

    def carry(name: str, node: Dict) -> PhaseEnergy:
        return PhaseEnergy(name, *(node[key] for key in ("energy_ev_per_atom", "engine", "protocol", "functional")))

    sources = {phase["formula"]: phase["source"] for phase in proposal["phases"]}
    energies = {formula.value: carry(formula.value, energy)}
    rows = []
    for name, source in sources.items():
        if f"energy_{name}" not in phases:
            continue
        energies[name] = carry(name, phases[f"energy_{name}"])
        geometry = phases[f"relaxed_{name}"].get_dict()
        rows.append(
            {
                "formula": name,
                "source": source,
                "prototype": geometry["name"],
                "space_group": geometry["space_group"],
                "energy_ev_per_atom": energies[name].energy_ev_per_atom,
            }
        )
    missing = [
        *proposal["missing"],
        *({"formula": name, "why": why} for name, why in sorted(failures.get_dict().items())),
    ]
    expected = [*sources, *(entry["formula"] for entry in proposal["missing"])]
    skipped = [entry["formula"] for entry in choice["skipped"]]
    binary = decomposition_enthalpy(formula.value, energies, "binary")
    hull = decomposition_enthalpy(formula.value, energies, expected=[name for name in expected if name not in skipped])
    record = {
        "binary": _record(binary),
        "hull": _record(hull),
        "phases": rows,
        "missing": missing,
        "skipped": choice["skipped"],
        "engine": energy["engine"],
        "functional": energy["functional"],
        "protocol": energy["protocol"],
        "energy_ev_per_atom": energy["energy_ev_per_atom"],
        "notes": proposal["notes"],
    }
    if known is not None:
        record["reference"] = _reference(formula.value, known)
    return Dict(json.loads(json.dumps(record)))


def _record(result: DecompositionEnthalpy) -> dict[str, Any]:
    return {
        "mev_per_atom": result.mev_per_atom,
        "reaction": result.reaction,
        "products": dict(result.products),
        "verdict": result.verdict,
        "limit": result.limit or None,
    }


def _reference(formula: str, known: CompositionTableData) -> dict[str, Any]:
    """Return the same quantities from the formation energies of the table, where it holds the compound."""
    from aiida_perovskite.chemistry.phases import reduced_formula
    from aiida_perovskite.photovoltaics import decomposition_enthalpy

    frame = known.to_frame()
    table = {str(name): float(value) for name, value in zip(frame["formula"], frame[FORMATION_ENERGY], strict=True)}
    if reduced_formula(formula) not in table:
        return {"table": known.label, "limit": f"{reduced_formula(formula)} is not in the table"}
    return {
        "table": known.label,
        "binary_mev_per_atom": decomposition_enthalpy(formula, table, "binary").mev_per_atom,
        "hull_mev_per_atom": decomposition_enthalpy(formula, table).mev_per_atom,
    }
