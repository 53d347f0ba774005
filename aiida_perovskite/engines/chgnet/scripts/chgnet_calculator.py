"""CHGNet as ASE calculator, and what the CHGNet scripts do with it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from perovskite_job import ScriptError


def load_calculator(model: str) -> Any:
    """Return CHGNet as ASE calculator on one CPU core."""
    try:
        import torch
        from chgnet.model import CHGNet, CHGNetCalculator
    except ImportError as error:
        raise ScriptError(
            "engine_missing", f"{sys.executable} has no CHGNet ({error}); install it there with: pip install chgnet"
        ) from error
    torch.set_num_threads(1)
    try:
        weights = CHGNet.load(model_name=model, verbose=False)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise ScriptError("bad_input", f"CHGNet has no weights named {model!r}: {error}") from error
    return CHGNetCalculator(model=weights, use_device="cpu")


def describe_chgnet(atoms: Any) -> dict[str, Any]:
    """Return energy and moments of a structure that has CHGNet."""
    return {
        "energy_chgnet_r2scan_ev_per_cell": float(atoms.get_potential_energy()),
        "magnetic_moments_mu_b": np.abs(atoms.calc.results["magmoms"]).tolist(),
    }


def versions() -> dict[str, str]:
    """Return the versions of all that had a part in the numbers."""
    from importlib.metadata import version

    return {name: version(name) for name in ("chgnet", "torch", "ase", "numpy", "spglib")} | {
        "python": sys.version.split()[0]
    }
