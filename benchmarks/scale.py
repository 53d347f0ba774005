"""What bookkeeping costs as a campaign grows: writes results/scale.csv.

``python benchmarks/scale.py`` screens 100, 300 and 1,000 compounds with emulated engines (geometry and gap of each),
every size in a profile of its own, through a daemon with one worker. In the table: processes a minute; processor time
of the worker and the broker, in all and by candidate, and that of the worker by candidate early (from a tenth to three
tenths of them) and late (from seven to nine tenths); the largest memory of both; the size of database and repository;
and how long `campaign status`, `query` and `campaign report` take as whole commands. What the engines themselves take
is not counted. About seven seconds a candidate, so three hours for all; ``--sizes`` says which, and the rows of other
sizes stay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from emulated import CODE, Home
from emulation import TINY_TRAINING
from endurance import own_processes
from kept_table import KeptTable

from aiida_perovskite.chemistry import halide_space

RESULTS = Path(__file__).parent / "results" / "scale.csv"
PROFILE = "scale"
TICKS = os.sysconf("SC_CLK_TCK")
DAEMON = ("worker", "broker")
COUNTED_EVERY_S = 60.0  # a whole command, beside the worker that is measured
# Nothing leaves the funnel before it is computed.
ALL = {
    "window_ev": [0, 99],
    "exclude_elements": [],
    "charge_balanced": False,
    "bartel_factor_max": None,
    "in_domain": False,
    "closed_shell": False,
    "exclude_known": False,
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--in-flight", type=int, default=20, help="candidates at the same time")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    table = KeptTable(options.output, "candidates")
    for size in options.sizes:
        folder = Path(tempfile.mkdtemp(prefix=f"scale-{size}-"))  # stays if something goes wrong, to look into
        row = measured(folder, size, options.in_flight)
        shutil.rmtree(folder, ignore_errors=True)
        table.put(row | {"date": datetime.now(UTC).date().isoformat()}, float_format="%.4g")


def measured(folder: Path, size: int, in_flight: int) -> dict[str, Any]:
    """Return the row of one size."""
    home = Home(folder, PROFILE)
    home.verdi("daemon", "start", "1")
    try:
        compounds = folder / "compounds.csv"
        # Of the emulated engines, iodides of rubidium die and fluorides need two tries.
        formulas = [item.formula for item in halide_space() if item.d in ("Cl", "Br")][:size]
        pd.DataFrame({"formula": formulas}).to_csv(compounds, index=False)
        rules = folder / "rules.yaml"
        rules.write_text(yaml.safe_dump({"train": TINY_TRAINING, "screening": {"selection": ALL}}), encoding="utf-8")
        watch = Watch(home)
        start = time.perf_counter()
        home.perovskite(
            *("screen", "-c", PROFILE, "--preset", "gaps", "--from-table", str(compounds)),
            *("--overrides", str(rules), "--code-relax", CODE, "--code-gap", CODE),
            *("--max-concurrent", str(in_flight), "--json"),
        )
        wall = time.perf_counter() - start
        cpu, memory = watch.stop()
        report = folder / "report.html"
        processes = len(home.verdi("process", "list", "-a", "--raw", "-P", "pk").splitlines())
        return {
            "candidates": size,
            "in_flight": in_flight,
            "processes": processes,
            "wall_s": wall,
            "processes_per_minute": 60 * processes / wall,
            **{f"{kind}_cpu_s": cpu[kind] for kind in DAEMON},
            "cpu_s_per_candidate": sum(cpu.values()) / size,
            "early_cpu_s_per_candidate": watch.worker_between(0.1 * size, 0.3 * size),
            "late_cpu_s_per_candidate": watch.worker_between(0.7 * size, 0.9 * size),
            **{f"{kind}_memory_mb": memory[kind] for kind in DAEMON},
            "storage_mb": sum(file.stat().st_size for file in (folder / ".aiida").rglob("*") if file.is_file()) / 1e6,
            "status_s": timed(home, "campaign", "status", PROFILE),
            "query_s": timed(home, "query", "--gap", "0.9", "1.6"),
            "report_s": timed(home, "campaign", "report", PROFILE, "-o", str(report)),
            "report_mb": report.stat().st_size / 1e6,
        }
    finally:
        home.verdi("daemon", "stop", fails=True)


def timed(home: Home, *words: str) -> float:
    """Return the seconds that a command takes."""
    start = time.perf_counter()
    home.perovskite(*words)
    return time.perf_counter() - start


class Watch(threading.Thread):
    """Looks every two seconds at the processor time and memory of a daemon, and now and then at the campaign."""

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self.home, self.ended = home, threading.Event()
        self.first: dict[tuple[str, int], float] = {}
        self.last: dict[tuple[str, int], float] = {}
        self.memory = dict.fromkeys(DAEMON, 0.0)
        self.progress: list[tuple[int, float]] = []  # candidates that have ended, processor seconds of the worker
        self.start()

    def run(self) -> None:
        """Look until told to stop."""
        counted = time.monotonic()
        while not self.ended.wait(2.0):
            self.look()
            if time.monotonic() - counted > COUNTED_EVERY_S:
                self.count()
                counted = time.monotonic()

    def count(self) -> None:
        """Note how many candidates have ended, once there are some."""
        text = self.home.run("aiida-perovskite", "-p", PROFILE, "campaign", "status", PROFILE, "--json", fails=True)
        with contextlib.suppress(ValueError):  # there is no campaign yet
            candidates = json.loads(text)["candidates"]
            self.progress.append((sum(one["exit_status"] is not None for one in candidates), self.spent()["worker"]))

    def worker_between(self, start: float, end: float) -> float:
        """Return the processor seconds of the worker for each candidate, while as many ended."""
        ended, seconds = np.array(sorted(self.progress)).T
        return float(np.diff(np.interp([start, end], ended, seconds))[0] / (end - start))

    def look(self) -> None:
        """Note processor seconds, and the largest memory."""
        for kind in DAEMON:
            for pid in own_processes(self.home.folder, kind):
                try:
                    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                except OSError:
                    continue
                seconds = (int(fields[11]) + int(fields[12])) / TICKS  # in user and in system mode, without children
                self.first.setdefault((kind, pid), seconds)
                self.last[kind, pid] = seconds
                pages = int(fields[21])
                self.memory[kind] = max(self.memory[kind], pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def stop(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return processor seconds since the start, and the largest memory in MB, by kind."""
        self.ended.set()
        self.join()
        self.look()
        self.count()
        return self.spent(), self.memory

    def spent(self) -> dict[str, float]:
        """Return processor seconds since the start, by kind."""
        spent = dict.fromkeys(DAEMON, 0.0)
        for (kind, pid), seconds in self.last.items():
            spent[kind] += seconds - self.first[kind, pid]
        return spent


if __name__ == "__main__":
    main()
