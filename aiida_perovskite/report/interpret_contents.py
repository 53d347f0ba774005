"""What a report on interpretable gaps holds; every number knows the node that it was read from."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiida_perovskite.report.contents import Dataset, Number, Record, Step, Table


@dataclass(frozen=True)
class Branch:
    """What came of one weight of the prior; what is not there (yet) is None.

    Attributes
    ----------
    name
        For ids on the page, e.g. ``prior-0-001``.
    prior_weight
        Lambda, the weight of the squared distance of all levels from the reference levels.
    steps
        What trained the networks and found the families.
    model
        What the checkpoint tells of itself.
    metrics
        Errors on compounds that the networks had not seen.
    cross_validation
        ``formula``, ``target_ev``, ``gap_ev``, ``lower_ev``, ``upper_ev``, ``fold``.
    compounds
        What the analysed network says of each compound, A before B: levels, weights, attention (mean over layers and
        heads). Read from the table of all networks, of which it is the part that is drawn.
    element_levels
        The same network's levels by element, over all sites and compounds: ``symbol``, ``n``, mean and standard
        deviation of HOMO and LUMO in eV.
    members, scan, families, elements, claims, components, stability, attributions
        Tables of the analysis of families.
    summary, agreement
        Numbers of the analysis of families.
    family_numbers
        What the page says of single families, by number of the family and column, e.g. ``1.n_compounds``.
    """

    name: str
    prior_weight: Number | None = None
    steps: tuple[Step, ...] = ()
    model: Record | None = None
    metrics: Record | None = None
    cross_validation: Table | None = None
    compounds: Table | None = None
    element_levels: Table | None = None
    members: Table | None = None
    scan: Table | None = None
    families: Table | None = None
    elements: Table | None = None
    claims: Table | None = None
    components: Table | None = None
    stability: Table | None = None
    attributions: Table | None = None
    summary: Record | None = None
    agreement: Record | None = None
    family_numbers: dict[str, Number] = field(default_factory=dict)


@dataclass(frozen=True)
class InterpretationReport:
    """Everything that the report shows.

    Attributes
    ----------
    compounds
        ``formula`` and ``target_ev`` of what the networks were trained on.
    target
        Name of the column that was learned.
    reference
        Levels to which the prior draws: ``symbol``, ``homo_ev``, ``lumo_ev``, and their sources where they have any.
    branches
        By rising weight of the prior.
    sse_gaps
        Gaps from solid-state energies: ``formula``, ``target_ev``, ``before_ev``, ``after_ev`` (the fit).
    sse_errors
        Errors of these gaps.
    """

    name: str
    description: str
    step: Step
    datasets: tuple[Dataset, ...]
    target: str
    settings: dict[str, Record]
    compounds: Table | None
    reference: Table | None
    branches: tuple[Branch, ...]
    sse_gaps: Table | None = None
    sse_errors: Record | None = None
