"""CPU seconds of every stage of a campaign's candidates, read from the provenance graph.

After ``make demo`` and ``source tools/activate``, ``python benchmarks/stage_cost.py demo`` writes
``results/stage_cost.csv``: for each candidate and stage the jobs that ran, those that came from the cache, and
the CPU seconds that the scripts measured of themselves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from aiida import load_profile
from aiida.orm import CalcJobNode, Group, ProcessNode, load_group
from machine import described

from aiida_perovskite.learning.checkpoint import atomic_path

RESULTS = Path(__file__).parent / "results" / "stage_cost.csv"


def main() -> None:
    """Read the campaign and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    load_profile()
    group: Group = load_group(options.campaign)
    rows = [
        {"formula": label.removeprefix("candidate_"), **row}
        for node in group.nodes
        for label, candidate in called(node)
        if label.startswith("candidate_")
        for row in stages(candidate)
    ]
    table = pd.DataFrame(rows).assign(machine=described())
    with atomic_path(options.output) as path:
        table.to_csv(path, index=False, float_format="%.1f")
    print(table.pivot_table(index="stage", columns="formula", values="cpu_s", aggfunc="sum", margins=True).round(0))


def called(node: ProcessNode) -> list[tuple[str, ProcessNode]]:
    """Return link label and process of what a process called."""
    return [(link.link_label, link.node) for link in node.base.links.get_outgoing(node_class=ProcessNode).all()]


def stages(candidate: ProcessNode) -> list[dict[str, object]]:
    """Return one row for each stage that ran jobs."""
    rows = []
    for stage, process in called(candidate):
        jobs = [node for node in [process, *process.called_descendants] if isinstance(node, CalcJobNode)]
        ran = [job for job in jobs if not job.base.caching.is_created_from_cache]
        if not jobs:
            continue
        cpu = sum(job.outputs.results["cpu_s"]["total"] for job in ran if "results" in job.outputs)
        wall = (process.mtime - process.ctime).total_seconds()
        rows.append(
            {"stage": stage, "jobs": len(ran), "cached_jobs": len(jobs) - len(ran), "cpu_s": cpu, "wall_s": wall}
        )
    return rows


if __name__ == "__main__":
    main()
