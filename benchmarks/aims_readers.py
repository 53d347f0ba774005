"""Our reader of FHI-aims' standard output beside ASE, pyfhiaims and pymatgen-io-aims, on real outputs.

``python benchmarks/aims_readers.py`` writes ``results/aims_readers.csv``; ``--docs`` writes the tables of
``docs/reference/aims-readers.md`` as well. The outputs are not part of the repository: they lie in ``aims-outputs`` of
the folder that AIIDA_PEROVSKITE_SHARED names. Readers that cannot be imported stand in the table as not installed. What
is right was typed from the files (``tests/aims_expected.py``). Some seconds on one core.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: the claim is about one core

import pandas as pd
from machine import processor

from aiida_perovskite.learning.checkpoint import atomic_path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from aims_expected import REAL, REAL_SOC

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "aims_readers.csv"
DOCS = ROOT / "docs" / "reference" / "aims-readers.md"
SHARED = Path(os.environ.get("AIIDA_PEROVSKITE_SHARED", ROOT.parent / "shared"))
QUANTITIES = ("status", "energy", "gap", "soc_gap", "k_points")
TOLERANCE_EV = 1e-6  # of energies and gaps: all digits that the final summary of FHI-aims prints, but for rounding
REPEATS = 3  # the best of these
LARGE_MB = 200

Answer = dict[str, Any]


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--docs", nargs="?", type=Path, const=DOCS, help=f"write Markdown too (default: {DOCS.name})")
    options = parser.parse_args()
    if not (SHARED / "aims-outputs").is_dir():
        parser.error(f"there are no real outputs in {SHARED}; set AIIDA_PEROVSKITE_SHARED to the folder that has them")
    warnings.simplefilter("ignore")
    rows = [row for name, read in READERS.items() for row in compare(name, read)]
    rows.append(large_output())
    table = pd.DataFrame(rows)
    table["machine"] = processor()
    print(summary(table).to_string(index=False))
    print(table[table["file"] == f"{LARGE_MB} MB"].drop(columns=["machine", *QUANTITIES]).to_string(index=False))
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")
    if options.docs:
        options.docs.write_text(markdown(table), encoding="utf-8")


def ours(path: Path) -> Answer:
    """Read with this package."""
    from aiida_perovskite.engines.aims import read_output

    output = read_output(path)
    return {
        "status": output.finished,
        "energy": output.total_energy_ev,
        "gap": output.gap_ev,
        "soc_gap": output.soc_gap_ev,
        "k_points": None if output.vbm_k is None else (output.vbm_k, output.cbm_k),
    }


def by_ase(path: Path) -> Answer:
    """Read with ASE, which says that a run did not finish by an exception of that text."""
    from ase.io import ParseError, read

    try:
        atoms = read(path, format="aims-output")
    except ParseError as error:
        if "did not complete successfully" not in str(error):
            raise
        return {"status": False, "energy": None}
    return {"status": True, "energy": atoms.get_potential_energy()}


def by_pyfhiaims(path: Path) -> Answer:
    """Read with pyfhiaims; of its energies the one that it calls total."""
    from pyfhiaims.outputs.stdout import AimsStdout

    output = AimsStdout(path)
    final = output.results["final"]
    return {"status": output.is_finished_ok, "energy": final.get("total_energy"), "gap": final.get("gap")}


def by_pymatgen(path: Path) -> Answer:
    """Read with pymatgen-io-aims."""
    from pymatgen.io.aims.outputs import AimsOutput

    output = AimsOutput.from_outfile(path)
    return {"status": output.completed, "energy": output.final_energy, "gap": output.band_gap}


READERS: dict[str, Callable[[Path], Answer]] = {
    "aiida-perovskite": ours,
    "ase": by_ase,
    "pyfhiaims": by_pyfhiaims,
    "pymatgen-io-aims": by_pymatgen,
}


def compare(reader: str, read: Callable[[Path], Answer]) -> list[dict[str, Any]]:
    """Return one row per output: right, wrong, missing, raises, or absent where the reader has no such quantity."""
    try:
        release = version(reader)
    except PackageNotFoundError:
        return [{"reader": reader, "version": "not installed"}]
    rows = []
    for name, expected in REAL.items():
        path = SHARED / "aims-outputs" / name / expected[0]
        seconds, answer = timed(read, path)
        verdicts = {quantity: verdict(quantity, name, answer) for quantity in QUANTITIES}
        ms_per_mb = 1e3 * seconds / (path.stat().st_size / 1e6) if answer is not None else None
        rows.append({"reader": reader, "version": release, "file": name, **verdicts, "ms_per_mb": ms_per_mb})
    return rows


def timed(read: Callable[[Path], Answer], path: Path) -> tuple[float, Answer | None]:
    """Return the best processor time of some, and what was read; None if the reader raised."""
    best = math.inf
    for _ in range(REPEATS):
        start = time.process_time()
        try:
            answer = read(path)
        except Exception:
            return math.inf, None
        best = min(best, time.process_time() - start)
    return best, answer


def verdict(quantity: str, name: str, answer: Answer | None) -> str | None:
    """Judge one answer; None where the output has no such quantity and the reader names none."""
    expected = truth(name)[quantity]
    # That there is no energy is an answer; that there is no spin-orbit coupling is not one.
    asked = expected is not None or quantity == "energy"
    if answer is None:
        return "raises" if asked else None
    if quantity not in answer:
        return "absent" if asked else None
    found = answer[quantity]
    if found is None or expected is None:
        return ("right" if asked else None) if found is expected else "missing" if found is None else "wrong"
    if quantity in ("status", "k_points"):
        return "right" if found == expected else "wrong"
    return "right" if abs(found - expected) < TOLERANCE_EV else "wrong"


def truth(name: str) -> Answer:
    """Return what the file prints; an energy of a cycle that did not converge is none."""
    _, status, _, energy, gap, vbm_k, cbm_k, *_ = REAL[name]
    return {
        "status": status == "finished",
        "energy": None if energy is None else float(energy),
        "gap": gap,
        "soc_gap": REAL_SOC[name][0] if name in REAL_SOC else None,
        "k_points": None if vbm_k is None else (vbm_k, cbm_k),
    }


def large_output() -> dict[str, Any]:
    """Read an output of 200 MB in a process of its own, made of one iteration of a real output again and again."""
    real = (SHARED / "aims-outputs" / "relax_no_nice_day" / "output").read_text(encoding="utf-8")
    mark = "          Begin self-consistency iteration #"
    starts = [place for place in range(len(real)) if real.startswith(mark, place)][:2]
    iteration = real[starts[0] : starts[1]]
    script = (
        "import re, sys, time\nfrom pathlib import Path\n"
        "from aiida_perovskite.engines.aims import read_output\n"
        "start = time.process_time(); output = read_output(sys.argv[1])\n"
        "seconds = time.process_time() - start\n"
        # Not getrusage: that of a child begins at the parent's.
        "peak = int(re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "print(seconds, peak * 1024 / 1e6, output.finished, output.n_scf_iterations)\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".out") as large:
        large.write(real[: starts[0]])
        for _ in range(int(LARGE_MB * 1e6 / len(iteration))):
            large.write(iteration)
        large.write(real[starts[1] :])
        large.flush()
        answer = subprocess.run([sys.executable, "-c", script, large.name], capture_output=True, text=True, check=True)
        seconds, peak, finished, _ = answer.stdout.split()
        if finished != "True":
            raise RuntimeError("the long output was not read to its end")
        size = Path(large.name).stat().st_size / 1e6
    reader = "aiida-perovskite"
    times = {"ms_per_mb": 1e3 * float(seconds) / size, "seconds": float(seconds), "peak_mb": float(peak)}
    return {"reader": reader, "version": version(reader), "file": f"{LARGE_MB} MB", **times}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return one line per reader: "right/asked", with the wrong answers in words."""
    lines = []
    for (reader, release), rows in table.groupby(["reader", "version"], sort=False):
        rows = rows[rows["file"].isin(REAL)]
        line = {"reader": f"{reader} {release}"}
        line |= {quantity: counts(rows[quantity]) for quantity in QUANTITIES}
        line["ms/MB"] = "" if rows["ms_per_mb"].isna().all() else f"{rows['ms_per_mb'].median():.0f}"
        lines.append(line)
    return pd.DataFrame(lines)


def counts(verdicts: pd.Series) -> str:
    """Say how often a reader was right, wrong, raised."""
    asked = verdicts.dropna()
    if asked.empty:
        return ""
    if (asked == "absent").any():
        return "does not read it"
    found = asked.value_counts()
    parts = [f"{found.get('right', 0)} of {len(asked)}"]
    return ", ".join(parts + [f"{found[word]} {word}" for word in ("wrong", "missing", "raises") if word in found])


def markdown(table: pd.DataFrame) -> str:
    """Return the page of the documentation."""
    long = table[table["file"] == f"{LARGE_MB} MB"].iloc[0]
    files = table[table["file"].isin(REAL)]
    n_finished = sum(row[1] == "finished" for row in REAL.values())
    whole = files[list(QUANTITIES)].apply(lambda row: mark_of(row.dropna()), axis=1)
    by_file = files.assign(verdict=whole).pivot_table(index="file", columns="reader", values="verdict", aggfunc="first")
    return f"""# Readers of FHI-aims' output compared

Written by `python benchmarks/aims_readers.py --docs`; the numbers stand in `benchmarks/results/aims_readers.csv`.

{len(REAL)} real outputs from public test suites, FHI-aims 151211 to 240206, both styles of header; two carry spin-orbit
coupling. *Status* asks only whether the run finished and converged: {n_finished} did. *Energy* is "Total energy
uncorrected" to {TOLERANCE_EV:g} eV, and no number for a cycle that did not converge. *k-points* are those of both band
edges on the k-grid; clusters have none. A reader that raises on a file gives no answer at all, not even on the status;
of ASE the exception "did not complete successfully" counts as one. Times are processor time, medians over the files
that were read.

{pipes(summary(table))}

File by file: what is not right.

{pipes(by_file.reset_index()[["file", *dict.fromkeys(files["reader"])]])}

An output of {LARGE_MB} MB (one iteration of a real one, repeated) takes our reader {long["seconds"]:.1f} s of processor
time and {long["peak_mb"]:.0f} MB of memory, the interpreter with numpy included.

Machine: {table["machine"].iloc[0]}, one core.
"""


def mark_of(verdicts: pd.Series) -> str:
    """Return the quantities that are wrong, or that the reader raised."""
    if (verdicts[verdicts != "absent"] == "raises").all():
        return "raises"
    parts = []
    for word in ("wrong", "missing"):
        if names := [str(name).replace("_", " ") for name, found in verdicts.items() if found == word]:
            parts.append(f"{', '.join(names)} {word}")
    return "; ".join(parts) or "–"


def pipes(table: pd.DataFrame) -> str:
    """Return a Markdown table."""
    head = [name.replace("_", " ").replace("soc", "SOC").replace("k points", "k-points") for name in table.columns]
    rows = [head, ["---"] * len(head), *table.fillna("").astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
