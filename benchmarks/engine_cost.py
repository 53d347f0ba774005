"""What one gap costs: compounds of the shipped dataset computed again from nothing but their formula.

``python benchmarks/engine_cost.py`` draws ten at random and writes ``results/engine_cost.csv``: CPU and wall time of
each step, and the gap beside the one in the dataset; ten minutes on one core. With ``--protocol`` and ``--formula`` it
compares protocols (see README.md).
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from pathlib import Path

import pandas as pd
from machine import described

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.engines import JobScript, run_script
from aiida_perovskite.engines.chgnet import RELAX_SCRIPT, parse_relax, relax_input
from aiida_perovskite.engines.gpaw import GAP_SCRIPT, gap_input, parse_gap
from aiida_perovskite.workflows.protocols import load_protocol

RESULTS = Path(__file__).parent / "results" / "engine_cost.csv"


def main() -> None:
    """Compute the drawn compounds and write the table after each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--compounds", type=int, default=10)
    parser.add_argument("--protocol", action="append", help="fast if not given; may be repeated")
    parser.add_argument("--formula", action="append", help="instead of drawn compounds; may be repeated")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    known = load_dataset("halide-gaps-gpaw").frame.set_index("formula")["gap_hse06_soc_ev"]
    formulas = options.formula or known.sample(options.compounds, random_state=options.seed).index.tolist()
    rows: list[dict[str, object]] = []
    for protocol, formula in itertools.product(options.protocol or ["fast"], formulas):
        rows += measure(formula, float(known[formula]), protocol)
        table = pd.DataFrame(rows)
        temporary = options.output.with_suffix(".tmp")
        table.to_csv(temporary, index=False, float_format="%.4f")
        os.replace(temporary, options.output)
    total = table[table["step"] == "all"]
    print(total.groupby("protocol")[["cpu_s", "wall_s", "difference_ev"]].median())


def measure(formula: str, dataset_gap: float, protocol: str) -> list[dict[str, object]]:
    """Return one row per step, and the row ``all`` of their sum."""
    with tempfile.TemporaryDirectory() as folder:
        prototype = prototype_atoms(Composition.parse(formula))
        settings = load_protocol("chgnet_relax", protocol)
        relaxed = parse_relax(run(RELAX_SCRIPT, relax_input(prototype, settings), Path(folder) / "relax"))
        relaxed.atoms.set_initial_magnetic_moments(prototype.get_initial_magnetic_moments())
        settings = load_protocol("gpaw_gap", protocol)
        text = run(GAP_SCRIPT, gap_input(relaxed.atoms, settings), Path(folder) / "gap")
        gap = parse_gap(text, (Path(folder) / "gap" / "arrays.npz").read_bytes()).properties
    cpu = {"chgnet_relax": relaxed.properties["cpu_s"]["total"]} | {f"gpaw_{k}": v for k, v in gap["cpu_s"].items()}
    wall = {"chgnet_relax": relaxed.properties["wall_s"]["total"]} | {f"gpaw_{k}": v for k, v in gap["wall_s"].items()}
    for times in (cpu, wall):
        times["all"] = times["chgnet_relax"] + times.pop("gpaw_total")
    computed = gap["gap_hse06_soc_ev"]
    print(f"{formula}: {cpu['all']:.1f} s CPU, {computed:.4f} eV, dataset {dataset_gap:.4f} eV", flush=True)
    common = {
        "a_angstrom": gap["a_angstrom"],
        "halide_steps": gap["halide_steps"],
        "gap_hse06_soc_ev": computed,
        "gap_dataset_ev": dataset_gap,
        "difference_ev": computed - dataset_gap,
        "protocol": protocol,
        "machine": described(),
    }
    return [{"formula": formula, "step": step, "cpu_s": cpu[step], "wall_s": wall[step], **common} for step in cpu]


def run(script: JobScript, content: dict[str, object], folder: Path) -> str:
    """Run an engine script in ``folder`` on one thread; return the text of its results."""
    folder.mkdir()
    run_script(script, content, folder)
    return (folder / "results.json").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
