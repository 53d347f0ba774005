"""Time of `query` and `trace` over profiles with 10,000 and 40,000 processes, a quarter of which are candidates.

``python benchmarks/graph_queries.py`` makes a temporary profile with SQLite storage, writes the nodes and links that
WorkChains would leave straight into its database (nothing is run), and writes ``results/graph_queries.csv``: the time
of each query within a Python process, the median of some repeats, and of whole commands. Numbers in the nodes are
random. In a real campaign one candidate stands for about a hundred processes: these profiles have unusually many
results. Five minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ["AIIDA_PATH"] = tempfile.mkdtemp(prefix="graph-queries-")  # before aiida: never the user's own profile

import numpy as np
import pandas as pd
from aiida import load_profile, orm
from aiida.manage import get_manager
from aiida.manage.configuration import create_profile, get_config
from aiida.orm.entities import EntityTypes
from machine import processor

from aiida_perovskite.chemistry import halide_space
from aiida_perovskite.cli.campaigns import SCREENING, campaign_group
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.report.query import (
    CANDIDATE_TYPE,
    ENTHALPY,
    GAP,
    HULL_ENTHALPY,
    RELAXED,
    SLME,
    Filters,
    find_compounds,
)
from aiida_perovskite.report.trace import trace

RESULTS = Path(__file__).parent / "results" / "graph_queries.csv"
CAMPAIGNS = 20
REPEATS = 5
BATCH = 500  # candidates written at once
FILLER = {f"value_{index}": 0.1 * index for index in range(60)}  # a real summary has about as many columns more
PROCESS = {"exit_status": 0, "process_state": "finished", "sealed": True, "version": {"core": "2.9", "plugin": "0.1"}}
FINISHED = {name: {**PROCESS, "process_label": name} for name in ("CandidateWorkChain", "GpawGapWorkChain", "ShellJob")}
FINISHED["summarise_candidate"] = {**PROCESS, "process_label": "summarise_candidate"}


def main() -> None:
    """Write the profile, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+", default=[2_500, 10_000], help="Sizes, the smallest first.")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    config = get_config(create=True)
    storage = {"storage_backend": "core.sqlite_dos", "storage_config": {}}
    create_profile(config, name="graph", email="aiida@localhost", **storage)
    load_profile("graph")
    writer, rows = Writer(), []
    for size in options.candidates:
        last = writer.fill(size)
        sizes = {
            "candidates": size,
            "processes": orm.QueryBuilder().append(orm.ProcessNode).count(),
            "nodes": orm.QueryBuilder().append(orm.Node).count(),
        }
        found = [measured(name, query) for name, query in queries(last)] + [command(*words) for words in commands()]
        rows += [{**sizes, **row} for row in found]
    table = pd.DataFrame(rows).assign(machine=processor())
    print(table.drop(columns=["machine", "nodes"]).to_string(index=False))
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False)


def queries(last: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what is asked for; ``last`` is the UUID of a result."""
    since = datetime.now(UTC) - timedelta(days=30)
    asked = {
        "everything": Filters(),
        "gap window": Filters(windows={GAP: (0.9, 1.6)}),
        "gap window, stable, two elements excluded": Filters(
            windows={GAP: (0.9, 1.6)}, above={ENTHALPY: 0.0}, excludes=("Pb", "Tl")
        ),
        "contains Ag and Bi": Filters(contains=("Ag", "Bi")),
        "engine of the gap": Filters(engines={"gap": "aims"}),
        "since a month ago, relaxed gap": Filters(windows={RELAXED[GAP]: (0.9, 1.6)}, since=since),
        "one campaign": Filters(campaign="campaign 7"),
    }
    for name, filters in asked.items():
        yield f"{name}: 50 rows to show", lambda filters=filters: find_compounds(filters, 50)[1]
        yield f"{name}: all rows and columns", lambda filters=filters: find_compounds(filters)[1]
    yield "trace of one number", lambda: len(trace(orm.load_node(last)).nodes)


def measured(name: str, query: Callable[[], int]) -> dict[str, Any]:
    """Return the median times of a query, and how many rows, nodes or lines it gave; its subprocesses count."""
    times, cpu = [], []
    for _ in range(REPEATS):
        start, before = time.perf_counter(), sum(os.times()[:4])
        found = query()
        times.append(time.perf_counter() - start)
        cpu.append(sum(os.times()[:4]) - before)
    return {
        "query": name,
        "wall_s": round(statistics.median(times), 3),
        "cpu_s": round(statistics.median(cpu), 2),
        "rows": found,
    }


def commands() -> Iterator[list[str]]:
    """Yield whole commands, the start of Python and AiiDA included; the first shows what that alone takes."""
    yield ["campaign", "list"]
    yield ["query", "--gap", "0.9", "1.6", "--stable", "--without", "Pb,Tl"]
    with tempfile.TemporaryDirectory() as folder:
        yield ["query", "-o", f"{folder}/all.parquet"]


def command(*words: str) -> dict[str, Any]:
    """Return the median time of a command."""
    line = [sys.executable, "-c", "from aiida_perovskite.cli import cmd_root; cmd_root()", "-p", "graph", *words]

    def once() -> int:
        return len(subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines())

    shown = " ".join(Path(word).name if os.sep in word else word for word in words)
    return measured(f"aiida-perovskite {shown}", once)


class Writer:
    """Writes campaigns with their candidates into the profile."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.formulas = [compound.formula for compound in halide_space()]
        self.engines = [orm.Str(name).store().pk for name in ("gpaw", "aims")]
        self.runs, self.written = [], 0
        for index in range(CAMPAIGNS):
            run = orm.WorkChainNode()
            run.process_type = SCREENING
            run.store()
            campaign_group(f"campaign {index}", create=True).add_nodes(run)
            self.runs.append(run.pk)

    def fill(self, n_candidates: int) -> str:
        """Write candidates until there are so many; return the UUID of the last gap."""
        for first in range(self.written, n_candidates, BATCH):
            last = write_batch(
                range(first, min(first + BATCH, n_candidates)), self.random, self.formulas, self.runs, self.engines
            )
        self.written = n_candidates
        return last


def write_batch(
    indices: range, random: np.random.Generator, formulas: list[str], runs: list[int], engines: list[int]
) -> str:
    """Write some candidates: each a WorkChain, the gap's WorkChain and job, the row, with their inputs and outputs."""
    calls, data, rows = [], [], []
    for index in indices:
        begun = datetime.now(UTC) - timedelta(days=float(random.uniform(0, 365)))
        gap, enthalpy = float(random.uniform(0, 6)), float(random.normal(0, 60))
        numbers = {GAP: gap, ENTHALPY: enthalpy, HULL_ENTHALPY: enthalpy - 20, SLME: float(random.uniform(0, 33))}
        numbers |= {RELAXED[name]: value * 1.05 for name, value in numbers.items()}
        passed = {"stage": "gap", "passed": 0.9 <= gap <= 1.6, "reason": f"gap of {gap:.2f} eV"}
        formula = formulas[index % len(formulas)]
        # In this order their places are known below.
        rows += [
            node("process.workflow.workchain.WorkChainNode.", FINISHED["CandidateWorkChain"], begun, CANDIDATE_TYPE),
            node("process.workflow.workchain.WorkChainNode.", FINISHED["GpawGapWorkChain"], begun, "x:gpaw.gap"),
            node("process.calculation.calcjob.CalcJobNode.", FINISHED["ShellJob"], begun, "x:core.shell"),
            node("process.calculation.calcfunction.CalcFunctionNode.", FINISHED["summarise_candidate"], begun, "x:s"),
            node("data.core.str.Str.", {"value": formula}, begun),
            node("data.core.dict.Dict.", {GAP: gap, **FILLER}, begun),
            node("data.core.dict.Dict.", {**numbers, **FILLER}, begun),
            node("data.core.dict.Dict.", passed, begun),
        ]
    pks = get_manager().get_profile_storage().bulk_insert(EntityTypes.NODE, rows)
    for place, index in enumerate(indices):
        work, gap_work, job, summarise, formula, gap, summary, verdict = pks[8 * place : 8 * place + 8]
        calls += [
            link(runs[index % len(runs)], work, f"candidate_{index}", "call_work"),
            link(work, gap_work, "gap", "call_work"),
            link(gap_work, job, "iteration_01", "call_calc"),
            link(work, summarise, "CALL", "call_calc"),
        ]
        data += [
            link(formula, work, "formula", "input_work"),
            link(engines[index % len(engines)], work, "gap__engine", "input_work"),
            link(formula, job, "formula", "input_calc"),
            link(job, gap, "results", "create"),
            link(gap, summarise, "gap", "input_calc"),
            link(summarise, summary, "result", "create"),
            *[
                link(work, pk, name, "return")
                for name, pk in {"gap": gap, "summary": summary, "verdict": verdict}.items()
            ],
        ]
    get_manager().get_profile_storage().bulk_insert(EntityTypes.LINK, calls + data)
    return str(rows[-3]["uuid"])


def node(kind: str, attributes: dict[str, Any], begun: datetime, process_type: str | None = None) -> dict[str, Any]:
    """Return the row of a node."""
    return {
        "uuid": str(uuid.uuid4()),
        "node_type": kind,
        "process_type": process_type,
        "label": "",
        "description": "",
        "ctime": begun,
        "mtime": begun,
        "attributes": attributes,
        "extras": {},
        "repository_metadata": {},
        "dbcomputer_id": None,
        "user_id": orm.User.collection.get_default().pk,
    }


def link(source: int, target: int, label: str, kind: str) -> dict[str, Any]:
    """Return the row of a link."""
    return {"input_id": source, "output_id": target, "label": label, "type": kind}


if __name__ == "__main__":
    main()
