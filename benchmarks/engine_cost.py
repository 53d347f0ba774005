"""What one `fast` gap costs: ten compounds of the shipped dataset, drawn at random, computed again from their formula.

``python benchmarks/engine_cost.py`` writes ``benchmarks/results/engine_cost.csv``: CPU and wall time of each step, and
the gap beside the one in the dataset. Takes about ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.engines.chgnet import RELAX_SCRIPT, parse_relax, relax_input
from aiida_perovskite.engines.gpaw import GAP_SCRIPT, gap_input, parse_gap
from aiida_perovskite.workflows.protocols import load_protocol

RESULTS = Path(__file__).parent / "results" / "engine_cost.csv"


def main() -> None:
    """Compute the drawn compounds and write the table after each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--compounds", type=int, default=10)
    parser.add_argument("--protocol", default="fast")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    drawn = load_dataset("halide-gaps-gpaw").frame.sample(options.compounds, random_state=options.seed)
    rows: list[dict[str, object]] = []
    for formula, gap in zip(drawn["formula"], drawn["gap_hse06_soc_ev"], strict=True):
        rows += measure(formula, float(gap), options.protocol)
        table = pd.DataFrame(rows)
        temporary = options.output.with_suffix(".tmp")
        table.to_csv(temporary, index=False, float_format="%.4f")
        os.replace(temporary, options.output)
    total = table[table["step"] == "all"]
    print(f"median of {len(total)}: {total['cpu_s'].median():.1f} s CPU, {total['wall_s'].median():.1f} s wall")
    print(f"largest difference from the dataset: {total['difference_ev'].abs().max():.4f} eV")


def measure(formula: str, dataset_gap: float, protocol: str) -> list[dict[str, object]]:
    """Return one row per step, and the row ``all`` of their sum."""
    with tempfile.TemporaryDirectory() as folder:
        prototype = prototype_atoms(Composition.parse(formula))
        settings = load_protocol("chgnet_relax", protocol)
        relaxed = parse_relax(run_script(RELAX_SCRIPT, relax_input(prototype, settings), Path(folder) / "relax"))
        relaxed.atoms.set_initial_magnetic_moments(prototype.get_initial_magnetic_moments())
        settings = load_protocol("gpaw_gap", protocol)
        text = run_script(GAP_SCRIPT, gap_input(relaxed.atoms, settings), Path(folder) / "gap")
        gap = parse_gap(text, (Path(folder) / "gap" / "arrays.npz").read_bytes()).properties
    cpu = {"chgnet_relax": relaxed.properties["cpu_s"]} | {f"gpaw_{k}": v for k, v in gap["cpu_s"].items()}
    wall = {"chgnet_relax": relaxed.properties["wall_s"]} | {f"gpaw_{k}": v for k, v in gap["wall_s"].items()}
    for times in (cpu, wall):
        times["all"] = times["chgnet_relax"] + times.pop("gpaw_total")
    computed = gap["gap_hse06_soc_ev"]
    print(f"{formula}: {cpu['all']:.1f} s CPU, {computed:.4f} eV, dataset {dataset_gap:.4f} eV", flush=True)
    common = {
        "halide_steps": gap["halide_steps"],
        "gap_hse06_soc_ev": computed,
        "gap_dataset_ev": dataset_gap,
        "difference_ev": computed - dataset_gap,
        "protocol": protocol,
        "machine": machine(),
    }
    return [{"formula": formula, "step": step, "cpu_s": cpu[step], "wall_s": wall[step], **common} for step in cpu]


def run_script(script: Path, content: dict[str, object], folder: Path) -> str:
    """Run an engine script in ``folder`` on one thread; return the text of its results."""
    folder.mkdir()
    (folder / "input.json").write_text(json.dumps(content), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "input.json"]
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
    return (folder / "results.json").read_text(encoding="utf-8")


def machine() -> str:
    """Return processor, number of cores and system."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, {platform.system()}"


if __name__ == "__main__":
    main()
