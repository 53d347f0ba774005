"""Relax a structure with CHGNet: ``python relax.py input.json`` writes ``results.json`` in the working directory.

Needs CHGNet, ASE, spglib, numpy and the modules that travel beside it, not the package that ships them.
``results.json`` is written whatever happens; the exit status is 0 only if the relaxation converged.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from chgnet_calculator import describe_chgnet, load_calculator, versions
from perovskite_job import Outcome, Stopwatch, progress, read_input, run_job
from perovskite_relax import SETTINGS as RELAXATION_SETTINGS
from perovskite_relax import double_perovskite, relax_lowest

SETTINGS = {"model": ("r2scan",), **RELAXATION_SETTINGS}


def run(path: str) -> Outcome:
    """Relax what ``path`` describes; return the content of ``results.json``, and no arrays."""
    warnings.filterwarnings("ignore")
    watch = Stopwatch()
    atoms, parameters = read_input(path, SETTINGS)
    progress(f"structure: {atoms.get_chemical_formula()}, symmetry {parameters['symmetry']}")
    calculator = load_calculator(parameters["model"])
    progress("CHGNet loaded")

    def more(relaxed: Any) -> dict[str, Any]:
        geometry = double_perovskite(relaxed)
        return {
            **describe_chgnet(relaxed),
            "x_chgnet": geometry[1] if geometry else None,
            "versions": versions(),
            **watch.totals(),
        }

    return relax_lowest(atoms, lambda: calculator, parameters, "CHGNet", more)


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
