"""Read the candidates of a campaign: one by one, each from the outputs of its CandidateWorkChain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.common import LinkType

from aiida_perovskite.report.compounds import bond_length, roles
from aiida_perovskite.report.contents import (
    Array,
    Arrays,
    BandPath,
    Candidate,
    Levels,
    Number,
    Record,
    Relaxed,
    Step,
    Structure,
    Table,
)
from aiida_perovskite.report.graph import (
    OUTPUT,
    called,
    linked,
    maybe,
    record,
    source,
    those,
)
from aiida_perovskite.report.steps import all_steps_below, portions, read_steps

CANDIDATE = "candidate_"  # link label of a candidate's WorkChain: this and its formula
TAKEN = "perovskite_taken"  # extra of a run: link label -> UUID of a candidate that it did not call
RELAXED = "relaxed__"  # output namespace of what was computed after the unconstrained relaxation
METHODS = {"bands_pbe": "PBE", "bands_hse06": "HSE06", "bands_hse06_soc": "HSE06+SOC"}


def candidates(node: orm.ProcessNode, selection: Table | None, references: list[str]) -> Iterator[Candidate]:
    """Read the candidates in the order of their rank, those not yet submitted included; the references come last."""
    processes = candidate_processes(node)
    chosen: list[str] = []
    if selection is not None and "chosen" in selection.frame:
        chosen = selection.frame.loc[selection.frame["chosen"].astype(bool), "formula"].tolist()
    ranked = set(chosen)
    named = ranked.union(references)
    others = [formula for formula in processes if formula not in named]
    compared = [formula for formula in dict.fromkeys(references) if formula not in ranked]
    predicted = predictions(selection)
    pks = {formula: process.pk or 0 for formula, process in processes.items()}
    own = read_steps({pk: CANDIDATE + formula for formula, pk in pks.items()})
    below = all_steps_below(pks.values())
    steps = {formula: (own[pk], *below[pk]) for formula, pk in pks.items()}
    for formula in chosen + others + compared:
        row = predicted.get(formula, {})
        yield candidate(formula, processes.get(formula), steps.get(formula, ()), row, formula in compared)


def candidate_processes(run: orm.ProcessNode) -> dict[str, orm.ProcessNode]:
    """Return formula -> process of the candidates of a run, those that it took from an earlier one included."""
    taken = run.base.extras.get(TAKEN, {})
    # Not all need be there: who gives a run away may leave out what it did not call.
    query = orm.QueryBuilder().append(orm.ProcessNode, filters={"uuid": {"in": list(taken.values())}})
    nodes = {node.uuid: node for node in query.all(flat=True)} if taken else {}
    found = called(run, CANDIDATE) + [(label, nodes[uuid]) for label, uuid in taken.items() if uuid in nodes]
    return {label.removeprefix(CANDIDATE): process for label, process in found if label.startswith(CANDIDATE)}


def reasons(pks: Iterable[int]) -> dict[int, str]:
    """Return pk of each candidate's process that has a verdict -> the sentence of the verdict."""
    found: dict[int, str] = {}
    for few in portions(list(pks)):
        query = orm.QueryBuilder().append(orm.ProcessNode, filters=those(few), tag="candidate", project="id")
        edge = {"label": "verdict", "type": LinkType.RETURN.value}
        query.append(orm.Dict, with_incoming="candidate", edge_filters=edge, project="attributes.reason")
        found |= {pk: reason for pk, reason in query.all() if reason}
    return found


def predictions(selection: Table | None) -> dict[str, dict[str, Number]]:
    """Return formula -> the numbers of its row of the selection."""
    if selection is None:
        return {}
    origin = selection.source
    return {
        row["formula"]: {
            str(name): Number(float(value) if np.isfinite(value) else None, origin, f"{row['formula']}.{name}")
            for name, value in row.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for row in selection.frame.to_dict("records")
    }


def candidate(
    formula: str,
    process: orm.ProcessNode | None,
    steps: tuple[Step, ...],
    predicted: dict[str, Number],
    reference: bool,
) -> Candidate:
    """Read one candidate, given its own step and those below; without a process it waits for its turn."""
    if process is None:
        return Candidate(formula, step=None, reference=reference, predicted=predicted)
    outputs = linked(process, OUTPUT)
    crystal, gap = maybe(structure, outputs, "structure"), maybe(record, outputs, "gap")
    return Candidate(
        formula=formula,
        step=steps[0],
        reference=reference,
        predicted=predicted,
        deviation=deviation(gap, predicted),
        bonds=bonds(crystal) if crystal else {},
        steps=steps[1:],
        structure=crystal,
        levels=tuple(levels(outputs[label], label) for label in METHODS if label in outputs),
        gap=gap,
        geometry=maybe(record, outputs, "geometry"),
        verdict=maybe(record, outputs, "verdict"),
        stability=maybe(record, outputs, "stability"),
        optics=maybe(record, outputs, "optics"),
        absorption=maybe(arrays, outputs, "absorption"),
        efficiency=maybe(record, outputs, "efficiency"),
        efficiency_curves=maybe(arrays, outputs, "efficiency_curves"),
        masses=maybe(record, outputs, "masses"),
        band_structure=maybe(band_path, outputs, "band_structure"),
        densities=maybe(arrays, outputs, "densities"),
        relaxed=relaxed(outputs),
    )


def relaxed(outputs: Mapping[str, Any]) -> Relaxed | None:
    """Read what was computed after the unconstrained relaxation, if anything was."""
    records = ("geometry", "gap", "optics", "efficiency", "stability")
    if not any(RELAXED + name in outputs for name in ("structure", *records)):
        return None
    return Relaxed(
        structure=maybe(structure, outputs, RELAXED + "structure"),
        **{name: maybe(record, outputs, RELAXED + name) for name in records},
    )


def deviation(gap: Record | None, predicted: Mapping[str, Number]) -> Number | None:
    """Return the computed minus the predicted gap, eV."""
    found = gap.numbers.get("gap_hse06_soc_ev") if gap else None
    expected = predicted.get("gap_ev")
    if found is None or expected is None or found.value is None or expected.value is None:
        return None
    return Number(found.value - expected.value, found.source, "gap_hse06_soc_ev minus the predicted gap_ev")


def bonds(crystal: Structure) -> dict[str, Number]:
    """Return the shortest distances from A and from B to the anion, Angstrom."""
    a, b, _, d = roles(crystal)
    origin = crystal.positions.source
    return {f"{ion}-{d}": Number(bond_length(crystal, ion), origin, f"distance {ion}-{d}") for ion in sorted((a, b))}


def structure(node: orm.StructureData, link_label: str) -> Structure:
    """Read a structure."""
    origin = source(node, link_label)
    return Structure(
        symbols=tuple(node.get_kind(site.kind_name).symbol for site in node.sites),
        positions=Array(np.array([site.position for site in node.sites]), origin, "sites.position"),
        cell=Array(np.array(node.cell), origin, "cell"),
    )


def levels(node: orm.BandsData, label: str) -> Levels:
    """Read eigenvalues; a single spin channel gets the axis of the spins that the node leaves out."""
    origin = source(node, label)
    energies = np.asarray(node.get_bands(), dtype=float)
    energies = energies if energies.ndim == 3 else energies[np.newaxis]
    return Levels(METHODS[label], Array(node.get_kpoints(), origin, "kpoints"), Array(energies, origin, "bands"))


def arrays(node: orm.ArrayData, link_label: str) -> Arrays:
    """Read every array of an array node."""
    origin = source(node, link_label)
    names = sorted(node.get_arraynames())
    return Arrays(origin, {name: Array(np.asarray(node.get_array(name), float), origin, name) for name in names})


def band_path(node: orm.BandsData, link_label: str) -> BandPath:
    """Read bands along a path; without a cell the k-points stand at equal distances."""
    origin = source(node, link_label)
    energies = np.asarray(node.get_bands(), dtype=float)
    energies = energies if energies.ndim == 3 else energies[np.newaxis]
    distances = np.arange(energies.shape[1], dtype=float)
    if "cell" in node.base.attributes.all:
        steps = np.linalg.norm(np.diff(node.get_kpoints(cartesian=True), axis=0), axis=1)
        distances = np.concatenate([[0.0], np.cumsum(steps)])
    return BandPath(
        Array(distances, origin, "kpoints, distance along the path"),
        Array(energies, origin, "bands"),
        tuple((int(index), str(label)) for index, label in node.labels or ()),
    )
