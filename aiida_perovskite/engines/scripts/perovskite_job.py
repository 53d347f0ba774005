"""What the engine scripts share: reading ``input.json``, progress, times, and writing results whatever happens.

It travels beside each script to the machine that runs it, so it needs the standard library, numpy and ASE only, not
the package that ships it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

START = time.perf_counter()
Outcome = tuple[dict[str, Any], dict[str, np.ndarray]]


class ScriptError(Exception):
    """An error with one of the codes that the package knows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def progress(text: str) -> None:
    """Print one line with the elapsed seconds."""
    print(f"[{time.perf_counter() - START:7.1f} s] {text}", flush=True)


class Stopwatch:
    """CPU and wall time of each step, in s."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {"start_up": time.process_time()}
        self.wall_s: dict[str, float] = {"start_up": time.perf_counter() - START}

    @contextlib.contextmanager
    def step(self, name: str) -> Any:
        """Add the time of the enclosed block to step ``name``."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - cpu
        self.wall_s[name] = self.wall_s.get(name, 0.0) + time.perf_counter() - wall

    def totals(self) -> dict[str, dict[str, float]]:
        """Return the times of the steps and of the whole job so far."""
        return {
            "cpu_s": {**self.cpu_s, "total": time.process_time()},
            "wall_s": {**self.wall_s, "total": time.perf_counter() - START},
        }


def read_content(path: str) -> dict[str, Any]:
    """Return ``input.json``."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return {"parameters": content["parameters"], **content}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScriptError("bad_input", f"{path} cannot be read as structure and parameters: {error!r}") from error


def read_atoms(structure: Any) -> Any:
    """Return the periodic structure, refusing numbers that are not finite and atoms on top of each other."""
    from ase import Atoms

    try:
        atoms = Atoms(
            structure["symbols"],
            positions=structure["positions"],
            cell=structure["cell"],
            magmoms=structure.get("initial_magnetic_moments"),
            pbc=True,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScriptError("bad_input", f"input.json cannot be read as structure and parameters: {error!r}") from error
    numbers = (atoms.positions, atoms.cell.array, atoms.get_initial_magnetic_moments())
    if not (all(np.isfinite(part).all() for part in numbers) and atoms.get_volume() > 1.0):
        raise ScriptError("bad_input", "positions, cell and moments must be finite and the cell span a volume")
    if atoms.get_all_distances(mic=True)[~np.eye(len(atoms), dtype=bool)].min(initial=np.inf) < 0.5:
        raise ScriptError("bad_input", "two atoms are closer than 0.5 Angstrom")
    return atoms


def read_input(path: str, kinds: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the atoms and the checked settings of ``input.json``."""
    content = read_content(path)
    if "structure" not in content:
        raise ScriptError("bad_input", f"{path} cannot be read as structure and parameters: no structure in it")
    check_settings(content["parameters"], kinds)
    return read_atoms(content["structure"]), content["parameters"]


def check_settings(parameters: Any, kinds: Mapping[str, Any]) -> None:
    """Refuse missing, unknown and senseless settings, each by name.

    ``kinds`` gives for each setting its type, or the tuple of its choices. Numbers, also those of a list, must be
    positive; only ``seed`` may be zero.
    """
    if not isinstance(parameters, dict) or set(parameters) != set(kinds):
        given = set(parameters) if isinstance(parameters, dict) else set()
        raise ScriptError(
            "bad_input", f"parameters: missing {sorted(set(kinds) - given)}, unknown {sorted(given - set(kinds))}"
        )
    for name, kind in kinds.items():
        value = parameters[name]
        if isinstance(kind, tuple):
            if value not in kind:
                raise ScriptError("bad_input", f"parameter {name} must be one of {kind}, not {value!r}")
            continue
        accepted: Any = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise ScriptError("bad_input", f"parameter {name} must be of type {kind.__name__}, not {value!r}")
        numbers = value if kind is list else [value] if kind in (int, float) else []
        if any(isinstance(n, bool) or not isinstance(n, int | float) or not n > 0 for n in numbers) and name != "seed":
            raise ScriptError("bad_input", f"parameter {name} must be positive ({kind.__name__}), not {value!r}")
    for name in kinds:
        if name.startswith("kpoints") and len(parameters[name]) != 3:
            raise ScriptError("bad_input", f"parameter {name} must be three numbers, not {parameters[name]}")


def describe_atoms(atoms: Any, moments: list[float] | None = None) -> dict[str, Any]:
    """Return a structure as ``results.json`` holds it."""
    return {
        "symbols": atoms.get_chemical_symbols(),
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.positions.tolist(),
        "initial_magnetic_moments": moments or [0.0] * len(atoms),
    }


def write_atomically(path: str, write: Any) -> None:
    """Let ``write`` fill a binary file so that a reader sees the whole file or none."""
    temporary = Path(f"{path}.tmp")
    with temporary.open("wb") as file:
        write(file)
    os.replace(temporary, path)


def run_job(run: Callable[[str], Outcome], arguments: list[str]) -> int:
    """Run ``run(path of input.json)``, write what it returns or how it failed; return the exit status."""
    # A scheduler that takes the job away sends SIGTERM: say so in results.json.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated by SIGTERM (walltime?)"))
    arrays: dict[str, np.ndarray] = {}
    try:
        if len(arguments) != 1:
            raise ScriptError("bad_input", "usage: python SCRIPT input.json")
        content, arrays = run(arguments[0])
        json.dumps(content, allow_nan=False)  # a number that is not finite is a failure, not a result
    except ScriptError as error:
        content = {"status": "error", "error": {"code": error.code, "message": str(error)}}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        content = {"status": "error", "error": {"code": "crashed", "message": f"{type(error).__name__}: {error}"}}
    if content["error"]:
        print(f"{content['error']['code']}: {content['error']['message']}", file=sys.stderr)
    try:
        if arrays:
            write_atomically("arrays.npz", lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))
        write_atomically("results.json", lambda file: file.write(json.dumps(content, indent=1).encode()))
    except OSError as error:
        print(f"the results cannot be written: {error}", file=sys.stderr)
        return 1
    return 1 if content["error"] else 0
