"""Campaigns in the graph: each is a Group that holds the runs of one funnel, or of one interpretation."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import Group, ProcessNode, WorkChainNode

    from aiida_perovskite.report.contents import Step

CAMPAIGN_EXTRA = "perovskite_campaign"  # marks the groups that are campaigns, whatever their label
MAX_NAME = 100  # characters of the name of a campaign; with an ending it has to be the name of a file
SCREENING = "aiida.workflows:perovskite.screening"
INTERPRET = "aiida.workflows:perovskite.interpret"


def check_name(name: str) -> None:
    """Raise ValueError if a new campaign cannot have this name: it becomes a file, a title and a word of a command."""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or set(name) & set("/\\") or name[0] in ".-":
        raise ValueError(
            f"{name[:MAX_NAME]!r} is no name for a campaign: take 1 to {MAX_NAME} printable characters, without "
            "slashes and without a dot or a dash in front"
        )


def campaign_group(name: str, *, create: bool = False) -> Group:
    """Return the group of a campaign.

    Raises
    ------
    ValueError
        If it does not exist and is not to be created; the message names those that do.
    """
    from aiida.orm import Group

    if create:
        group, new = Group.collection.get_or_create(label=name)
        if new:
            group.base.extras.set(CAMPAIGN_EXTRA, True)
            group.description = "double-perovskite campaign"
        return group
    groups = {group.label: group for group in campaign_groups()}
    if name not in groups:
        raise ValueError(f"there is no campaign {name!r}; this profile holds: {', '.join(groups) or 'none'}")
    return groups[name]


def campaign_groups() -> list[Group]:
    """Return the campaigns of the profile, oldest first."""
    from aiida.orm import Group, QueryBuilder

    query = QueryBuilder().append(Group, filters={f"extras.{CAMPAIGN_EXTRA}": True}, tag="group")
    found: list[Group] = query.order_by({"group": "id"}).all(flat=True)
    return found


def runs(name: str, *kinds: str) -> list[WorkChainNode]:
    """Return the runs of a campaign, newest first: of these process types, or of all that campaigns have."""
    from aiida.orm import Group, QueryBuilder, WorkChainNode

    query = QueryBuilder().append(Group, filters={"label": name, f"extras.{CAMPAIGN_EXTRA}": True}, tag="group")
    wanted = {"process_type": {"in": list(kinds or (SCREENING, INTERPRET))}}
    query.append(WorkChainNode, with_group="group", tag="run", filters=wanted)
    found: list[WorkChainNode] = query.order_by({"run": {"id": "desc"}}).all(flat=True)
    return found


def active_run(name: str, kind: str) -> WorkChainNode | None:
    """Return the run of a campaign, of this process type, that has not ended, if there is one."""
    return next((run for run in runs(name, kind) if not run.is_terminated), None)


def latest_run(name: str) -> WorkChainNode:
    """Return the newest run of a campaign; ValueError if there is none."""
    campaign_group(name)
    found = runs(name)
    if not found:
        raise ValueError(
            f"campaign {name!r} has no run yet; start one with "
            f"`aiida-perovskite screen -c {shlex.quote(name)}` or `interpret`"
        )
    return found[0]


def state_of(process: ProcessNode) -> str:
    """Return the state of a process in one word."""
    return process.process_state.value if process.process_state else "created"


def run_status(run: WorkChainNode) -> dict[str, Any]:
    """Return state, funnel counts and the state of each candidate, or of each step of an interpretation."""
    from aiida_perovskite.report.candidates import candidate_processes, reasons
    from aiida_perovskite.report.graph import called
    from aiida_perovskite.report.steps import read_steps
    from aiida_perovskite.workflows.interpret import FAMILIES, TRAIN

    parts = read_steps({node.pk or 0: label for label, node in called(run, (TRAIN, FAMILIES))})
    steps = [{"step": one.source.link_label, **_part(one)} for _, one in sorted(parts.items())]
    candidates = {formula: node.pk or 0 for formula, node in candidate_processes(run).items()}
    computed = read_steps({pk: formula for formula, pk in candidates.items()})
    why = reasons(candidates.values())
    return {
        "pk": run.pk,
        "uuid": run.uuid,
        "state": state_of(run),
        "exit_status": run.exit_status,
        "message": run.exit_message,
        "started": run.ctime.isoformat(timespec="seconds"),
        "funnel": run.outputs.funnel["stages"] if "funnel" in run.outputs else [],
        "candidates": [
            {"formula": formula, **_part(computed[pk]), "message": why.get(pk) or computed[pk].message or None}
            for formula, pk in candidates.items()
        ],
        "steps": steps,
    }


def _part(one: Step) -> dict[str, Any]:
    return {
        "pk": one.source.pk,
        "state": "finished" if one.state == "failed" else one.state,
        "exit_status": one.exit_status,
        "message": one.message or None,
    }


def report_of(run: ProcessNode) -> str:
    """Return the report of a campaign's run, as one HTML page."""
    if run.process_type == INTERPRET:
        from aiida_perovskite.report.interpret_collect import collect_interpretation
        from aiida_perovskite.report.interpret_render import render_interpretation

        return render_interpretation(collect_interpretation(run))
    from aiida_perovskite.report.collect import collect_campaign
    from aiida_perovskite.report.render import render

    return render(collect_campaign(run))
