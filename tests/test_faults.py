"""Ten faults of the fault bench, of every kind, on a SLURM of its own: nothing is lost, doubled or stuck."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from slurm_cluster import why_not

BENCH = Path(__file__).parents[1] / "benchmarks" / "faults.py"


def test_ten_faults_cost_time_only(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    command = [sys.executable, str(BENCH), *("--faults", "10", "--output", str(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2400)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    table = pd.read_csv(tmp_path / "faults.csv")
    assert table["faults"].sum() == 10
    assert table["kind"].nunique() == 8
    assert table["stage"].nunique() == 7
    assert not table[["lost", "duplicated", "stuck"]].to_numpy().any()
