"""What is computed again when a finished screening is run again: writes results/caching.csv.

``python benchmarks/caching.py`` screens two compounds with emulated engines, every step of them, in a profile of its
own through a daemon with one worker; then the same again; then again with one number of a protocol changed, one step
after the other. In the table: how many jobs there were, how many came from the cache, which were computed anew, and
the time. About ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from emulated import CODE, Home
from emulation import TINY_TRAINING
from machine import described

from aiida_perovskite.learning.checkpoint import atomic_path

RESULTS = Path(__file__).parent / "results" / "caching.csv"
PROFILE = "caching"
# What is changed, one thing at a time. All that depends on it is computed again, and nothing else should be.
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "thickness of the cell": {"efficiency": {"thickness_um": 1.0}},
    "bands above the gap in the spectrum": {"absorption": {"optical_empty_bands": 21}},
    "cutoff of the gap": {"gap": {"cutoff_ev": 401}},
    "forces of the geometry": {"relax": {"max_force_ev_per_angstrom": 0.011}},
    "epochs of the training": {"train": {"epochs": TINY_TRAINING["epochs"] + 1}},
}
SPACE = {"preset": None, "ab_elements": ["Ag", "Bi"], "c_elements": ["Cs", "Rb"], "d_elements": ["Cl"]}
FUNNEL = {
    "space": SPACE,
    "selection": {"window_ev": [0, 99], "in_domain": False, "exclude_known": False, "n_candidates": 2},
    "references": [],
}
COUNT = """
import json, sys
from aiida import load_profile
from aiida.orm import CalcJobNode, load_node
load_profile(sys.argv[1])
rows = []
for job in load_node(sys.argv[2]).called_descendants:
    if isinstance(job, CalcJobNode):
        steps, caller = [], job.caller
        while caller is not None:
            steps.append(caller.process_label)
            caller = caller.caller
        rows.append([steps[0], bool(job.base.caching.get_cache_source())])
print(json.dumps(rows))
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caching-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder), PROFILE)
        home.verdi("daemon", "start", "1")
        try:
            rows = [row_of(home, "first run", {})]
            rows += [row_of(home, name, change) for name, change in CHANGES.items()]
        finally:
            home.verdi("daemon", "stop", fails=True)
    table = pd.DataFrame(rows).assign(machine=described())
    print(table.drop(columns="machine").to_string(index=False))
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.3g")


def row_of(home: Home, name: str, change: dict[str, Any]) -> dict[str, Any]:
    """Run the campaign with a change and return what its jobs were."""
    settings: dict[str, Any] = {"train": TINY_TRAINING, "screening": FUNNEL, "candidate": {"leave_early": False}}
    settings = {**settings, **{step: {**settings.get(step, {}), **new} for step, new in change.items()}}
    file = home.folder / "settings.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    start = time.perf_counter()
    told = home.perovskite(
        *("screen", "-c", name.replace(" ", "-"), "--overrides", str(file)),
        *("--code-relax", CODE, "--code-gap", CODE, "--json"),
    )
    seconds = time.perf_counter() - start
    jobs = json.loads(home.run(sys.executable, "-c", COUNT, PROFILE, json.loads(told)["uuid"]))
    anew = pd.Series([step for step, cached in jobs if not cached], dtype=str).value_counts().sort_index()
    row = {
        "changed": name,
        "jobs": len(jobs),
        "from_cache": sum(cached for _, cached in jobs),
        "computed": ", ".join(f"{count} {step.removesuffix('WorkChain')}" for step, count in anew.items()),
        "wall_s": seconds,
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
