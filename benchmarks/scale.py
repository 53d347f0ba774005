"""What bookkeeping costs as a campaign grows: writes results/scale.csv.

``python benchmarks/scale.py`` screens 100, 300 and 1,000 compounds with emulated engines (geometry and gap of each),
every size in a profile of its own, through a daemon with one worker. In the table: processes a minute; processor time
of the worker and the broker, in all and by candidate, and that of the worker by candidate early (from a tenth to three
tenths of them) and late (from seven to nine tenths); the largest memory of both; the size of database and repository;
and how long `campaign status`, `query` and `campaign report` take as whole commands. What the engines themselves take
is not counted. About seven seconds a candidate, so three hours for all; ``--sizes`` says which, and the rows of other
sizes stay. What is measured is written every minute into ``--work``, beside the profile: the same command goes on
after an interruption, of which only the last minute is not counted (``parts`` says how often it was started).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
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
WRITTEN_EVERY_S = 60.0  # a whole command, beside the worker that is measured
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
    parser.add_argument("--work", type=Path, default=Path("scale-profiles"), help="where the profiles are made")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    table = KeptTable(options.output, "candidates")
    for size in options.sizes:
        folder = options.work.resolve() / str(size)
        row = measured(folder, size, options.in_flight)
        table.put(row | {"date": datetime.now(UTC).date().isoformat()}, float_format="%.4g")
        shutil.rmtree(folder)


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
        home.perovskite(
            *("screen", "-c", PROFILE, "--preset", "gaps", "--from-table", str(compounds)),
            *("--overrides", str(rules), "--code-relax", CODE, "--code-gap", CODE),
            *("--max-concurrent", str(in_flight), "--json"),
        )
        readings = watch.stop()
        last = readings.iloc[-1].to_dict()
        report = folder / "report.html"
        processes = len(home.verdi("process", "list", "-a", "--raw", "-P", "pk").splitlines())
        return {
            "candidates": size,
            "in_flight": in_flight,
            "parts": int(last["part"]),
            "processes": processes,
            "wall_s": last["wall_s"],
            "processes_per_minute": 60 * processes / last["wall_s"],
            **{f"{kind}_cpu_s": last[f"{kind}_cpu_s"] for kind in DAEMON},
            "cpu_s_per_candidate": sum(last[f"{kind}_cpu_s"] for kind in DAEMON) / size,
            "early_cpu_s_per_candidate": worker_between(readings, 0.1 * size, 0.3 * size),
            "late_cpu_s_per_candidate": worker_between(readings, 0.7 * size, 0.9 * size),
            **{f"{kind}_memory_mb": readings[f"{kind}_memory_mb"].max() for kind in DAEMON},
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


def worker_between(readings: pd.DataFrame, start: float, end: float) -> float:
    """Return the processor seconds of the worker for each candidate, while as many ended."""
    seconds = np.interp([start, end], readings["ended"], readings["worker_cpu_s"])
    return float(seconds[1] - seconds[0]) / (end - start)


class Watch(threading.Thread):
    """Looks every two seconds at a daemon's processor time and memory, and now and then writes a line of readings."""

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self.home, self.stopping = home, threading.Event()
        self.path = home.folder / "readings.csv"
        earlier = pd.read_csv(self.path).iloc[-1].to_dict() if self.path.exists() else {}
        self.part = int(earlier.get("part", 0)) + 1
        self.start_s = time.perf_counter() - earlier.get("wall_s", 0.0)
        self.earlier_cpu_s = {kind: earlier.get(f"{kind}_cpu_s", 0.0) for kind in DAEMON}
        self.first_s: dict[tuple[str, int], float] = {}
        self.last_s: dict[tuple[str, int], float] = {}
        self.memory_mb = dict.fromkeys(DAEMON, 0.0)
        self.start()

    def run(self) -> None:
        """Look until told to stop."""
        written = time.monotonic()
        while not self.stopping.wait(2.0):
            self.look()
            if time.monotonic() - written > WRITTEN_EVERY_S:
                self.write()
                written = time.monotonic()

    def look(self) -> None:
        """Note processor seconds, and the largest memory."""
        for kind in DAEMON:
            for pid in own_processes(self.home.folder, kind):
                try:
                    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                except OSError:
                    continue
                seconds = (int(fields[11]) + int(fields[12])) / TICKS  # in user and in system mode, without children
                self.first_s.setdefault((kind, pid), seconds)
                self.last_s[kind, pid] = seconds
                pages = int(fields[21])
                self.memory_mb[kind] = max(self.memory_mb[kind], pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def write(self) -> None:
        """Write a line of readings, once there is a campaign."""
        text = self.home.run("aiida-perovskite", "-p", PROFILE, "campaign", "status", PROFILE, "--json", fails=True)
        try:
            candidates = json.loads(text)["candidates"]
        except ValueError:
            return
        line = {
            "part": self.part,
            "wall_s": time.perf_counter() - self.start_s,
            "ended": sum(one["exit_status"] is not None for one in candidates),
            **{f"{kind}_cpu_s": self.cpu_s(kind) for kind in DAEMON},
            **{f"{kind}_memory_mb": self.memory_mb[kind] for kind in DAEMON},
        }
        pd.DataFrame([line]).to_csv(self.path, mode="a", header=not self.path.exists(), index=False)

    def cpu_s(self, kind: str) -> float:
        """Return the processor seconds of a kind, with those of the parts before."""
        own = (seconds - self.first_s[key] for key, seconds in self.last_s.items() if key[0] == kind)
        return self.earlier_cpu_s[kind] + sum(own)

    def stop(self) -> pd.DataFrame:
        """Return all readings, the last of them taken now."""
        self.stopping.set()
        self.join()
        self.look()
        self.write()
        return pd.read_csv(self.path)


if __name__ == "__main__":
    main()
