"""``aiida-perovskite explain``: why a compound has the gap that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import INTERPRET
from aiida_perovskite.cli.common import JSON, clear_errors, echo_json, frame_records
from aiida_perovskite.cli.interpret import networks_of, weight_of

if TYPE_CHECKING:
    import pandas as pd

    from aiida_perovskite.chemistry import Composition

SITES = ("a", "b", "c", "d")
NAMED = 0.2  # a site is named as part of a band edge if it has at least this share of it


@cmd_root.command("explain")
@click.argument("formula")
@click.option("--process", "identifier", help="Identifier of an interpretation; the newest that has results otherwise.")
@click.option(
    "--prior-weight",
    "--lambda",
    "prior_weight",
    type=click.FloatRange(min=0),
    help="Ask the networks of this prior weight; those of the largest otherwise.",
)
@click.option("--confidence", type=click.FloatRange(0.5, 0.99), default=0.9, show_default=True, help="Of the interval.")
@click.option("--neighbours", type=click.IntRange(min=1), default=5, show_default=True, help="How many are shown.")
@click.option("--allow-unseen", is_flag=True, help="Answer even for elements that no network was trained on.")
@JSON()
@clear_errors
def cmd_explain(
    formula: str, identifier: str | None, prior_weight: float | None, as_json: bool, **choices: Any
) -> None:
    """Explain the gap of FORMULA by what the networks of `interpret` say about it.

    Shown are the highest occupied and lowest empty level of each site with the spread of the networks, the share of
    each site in both band edges, the predicted gap with its interval, the family, and the compounds that are most
    alike in what the networks attend to, with their gaps.

    \b
      aiida-perovskite explain Cs2AgBiBr6
      aiida-perovskite explain Cs2AgBiBr6 --lambda 0 --json
    """
    from aiida_perovskite.chemistry import Composition

    compound = Composition.parse(formula)
    run = interpretation(identifier)
    network = choose(networks_of(run), prior_weight)
    content = {
        "process": run.pk,
        "prior_weight": weight_of(network),
        "model": network["model"].uuid,
        "target": network["model"].base.attributes.get("target"),
        **answer(compound, network, **choices),
    }
    if as_json:
        echo_json(content)
        return
    if content["unseen"]:
        echo.echo_warning(
            f"no network was trained on {content['unseen'].replace(' ', ', ')}: levels and gap are guesses, and the "
            "interval does not hold"
        )
    for line in lines(compound, content, choices["confidence"]):
        click.echo(line)


def interpretation(identifier: str | None) -> Any:
    """Return the run with this identifier, or the newest one with trained networks; ValueError if there is none."""
    from aiida.orm import QueryBuilder, WorkChainNode, load_node

    if identifier is not None:
        node = load_node(identifier)
        if getattr(node, "process_type", None) != INTERPRET:
            raise ValueError(f"node {identifier} is no interpretation: `aiida-perovskite interpret` makes one")
        found = [node]
    else:
        query = QueryBuilder().append(WorkChainNode, filters={"process_type": INTERPRET}, tag="run")
        found = query.order_by({"run": {"id": "desc"}}).all(flat=True)
    answering = next((node for node in found if networks_of(node)), None)
    if answering is None:
        raise ValueError("there are no trained level networks yet: run `aiida-perovskite interpret` first")
    return answering


def choose(networks: dict[str, Any], prior_weight: float | None) -> Any:
    """Return the outputs of one prior weight; ValueError if the run has none such."""
    by_weight = {weight_of(network): network for network in networks.values()}
    wanted = max(by_weight) if prior_weight is None else prior_weight
    if wanted not in by_weight:
        known = ", ".join(f"{weight:g}" for weight in sorted(by_weight))
        raise ValueError(f"no networks of this run have the prior weight {wanted:g}; choose from {known}")
    return by_weight[wanted]


def answer(
    compound: Composition, network: Any, *, confidence: float, neighbours: int, allow_unseen: bool
) -> dict[str, Any]:
    """Return what the networks say about a compound, as plain values.

    Raises
    ------
    UnseenElementError
        If training never saw an element of the compound, and that is not allowed.
    """
    import pandas as pd

    from aiida_perovskite.learning.levels.model import levels_frame

    model = network["model"].load_level_model()
    predicted = frame_records(model.predict([compound.formula], confidence=confidence, allow_unseen=allow_unseen))[0]
    members = [
        levels_frame(model, [compound.formula], member, allow_unseen=allow_unseen) for member in range(model.n_members)
    ]
    known = members[0]["target_ev"].iloc[0]
    return {
        "formula": compound.formula,
        "known_gap_ev": None if pd.isna(known) else float(known),
        **{name: value for name, value in predicted.items() if name != "formula"},
        "sites": _sites(compound, pd.concat(members)),
        **_family(members, network, neighbours),
    }


def _sites(compound: Composition, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return mean and spread over the networks of what they say about each site."""
    sites = []
    for site, element in zip(SITES, compound.elements, strict=True):
        levels = {name: frame[f"{name}_{site}_ev"] for name in ("homo", "lumo")}
        sites.append(
            {
                "site": site.upper(),
                "element": element,
                **{f"{name}_ev": float(values.mean()) for name, values in levels.items()},
                **{f"{name}_std_ev": float(values.std(ddof=0)) for name, values in levels.items()},
                **{name: float(frame[f"{name}_{site}"].mean()) for name in ("vbm_weight", "cbm_weight")},
            }
        )
    return sites


def _family(members: list[pd.DataFrame], network: Any, n_neighbours: int) -> dict[str, Any]:
    """Return family, sentence and neighbours, nothing where the analysis failed."""
    from aiida_perovskite.learning.families.placement import place
    from aiida_perovskite.learning.families.settings import FamilySettings

    if "summary" not in network:
        return {"family": None, "neighbours": []}
    summary = network["summary"]
    analysed = int(summary["member"].removeprefix("member-"))
    levels = network["levels"].to_frame()
    placement = place(
        members[analysed],
        levels[levels["member"] == analysed].drop(columns="member"),
        network["members"].to_frame(),
        FamilySettings.from_dict(summary["settings"]),
        n_neighbours,
    )
    families = network["families"].to_frame().set_index("family")
    return {
        "family": placement.family,
        "cluster": placement.cluster,
        "in_family_order": placement.in_family_order,
        "sentence": str(families.loc[placement.family, "sentence"]),
        "neighbours": frame_records(placement.neighbours),
    }


def lines(compound: Composition, content: dict[str, Any], confidence: float) -> list[str]:
    """Return the answer in words."""
    known = content["known_gap_ev"]
    table = "" if known is None else f"; the table has {known:.2f} eV"
    interval = f"{confidence:.0%} interval {content['lower_ev']:.2f} to {content['upper_ev']:.2f} eV"
    written = [
        f"{compound.pretty}, by networks of prior weight {content['prior_weight']:g} (process {content['process']}):",
        f"  {content['target']} = {content['gap_ev']:.2f} eV ({interval}){table}",
        "  site        HOMO (eV)       LUMO (eV)       of the VBM  of the CBM",
    ]
    for site in content["sites"]:
        levels = [f"{site[f'{name}_ev']:6.2f} +- {site[f'{name}_std_ev']:4.2f}" for name in ("homo", "lumo")]
        shares = [f"{site[f'{name}_weight']:10.0%}" for name in ("vbm", "cbm")]
        written.append(f"  {site['site']} = {site['element']:<3}   {'  '.join(levels)}  {'  '.join(shares)}")
    written += [f"  {edge(content['sites'], name)}" for name in ("vbm", "cbm")]
    if content["family"] is None:
        return [*written, "  no families: their analysis failed"]
    order = "" if content["in_family_order"] else f" (with {compound.b} as A and {compound.a} as B)"
    written.append(f"  family {content['family']}{order}: {content['sentence']}")
    written.append("  most like it:")
    for row in content["neighbours"]:
        source = "" if row["known"] else ", predicted"
        written.append(f"    {row['formula']:<14} {row['gap_ev']:.2f} eV{source} (distance {row['distance']:.3f})")
    return written


def edge(sites: list[dict[str, Any]], name: str) -> str:
    """Say which sites make a band edge."""
    ranked = sorted(sites, key=lambda site: -site[f"{name}_weight"])
    named = [site for site in ranked if site[f"{name}_weight"] >= NAMED]
    what = {"vbm": "valence band maximum", "cbm": "conduction band minimum"}[name]
    parts = [f"{site['element']} on {site['site']} ({site[f'{name}_weight']:.0%})" for site in named]
    return f"the {what} is made by {' and '.join(parts)}"
