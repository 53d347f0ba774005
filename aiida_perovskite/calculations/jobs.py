"""Inputs of the jobs that aiida-shell runs: an interpreter, a script or module, its input files.

The scripts are input nodes, so a change of one changes the hash of the job: caching never gives back the result of
another version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.orm import AbstractCode, List, QueryBuilder, SinglefileData

from aiida_perovskite.engines import JobScript

SCRIPT_DIGEST = "perovskite_script_sha256"  # extra by which a stored copy of a script is found again


def script_node(path: Path) -> SinglefileData:
    """Return the node of a script, stored once per profile and version of the script."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    query = QueryBuilder().append(SinglefileData, filters={f"extras.{SCRIPT_DIGEST}": digest})
    found = query.first(flat=True)
    if found is not None:
        return found
    node = SinglefileData(path, filename=path.name)
    node.label = path.name
    node.base.extras.set(SCRIPT_DIGEST, digest)
    return node


def job_options(options: Mapping[str, Any] | None, retrieve: list[str], parser: str) -> dict[str, Any]:
    """Return the options of a ShellJob: the user's on top of what every job of this package needs.

    Standard error joins standard output, since any warning on it would count as a failure; result files are kept in
    ``retrieved``; one thread per process unless the user says otherwise.
    """
    merged: dict[str, Any] = {
        "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1},
        "withmpi": False,
        **(options or {}),
    }
    threads = {"OMP_NUM_THREADS": "1", **merged.get("environment_variables", {})}
    return {
        **merged,
        "environment_variables": threads,
        "redirect_stderr": True,
        "additional_retrieve_list": retrieve,
        "parser_name": parser,
    }


def script_job(
    code: AbstractCode, script: JobScript, input_file: SinglefileData, options: Mapping[str, Any] | None, parser: str
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that runs ``script`` on ``input_file`` with the interpreter ``code``."""
    files = {file.stem: file for file in script.files}
    return {
        "code": code,
        "nodes": {**{name: script_node(file) for name, file in files.items()}, "input": input_file},
        "filenames": {**{name: file.name for name, file in files.items()}, "input": "input.json"},
        "arguments": List([f"{{{script.path.stem}}}", "{input}"]),
        "metadata": {"options": job_options(options, ["results.json", "arrays.npz"], parser)},
    }


def training_job(
    code: AbstractCode,
    table: SinglefileData,
    settings: SinglefileData,
    target: str,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that trains a gap model by ``python -m aiida_perovskite.learning train``."""
    arguments = ["-m", "aiida_perovskite.learning", "train", "--table", "{table}", "--settings", "{settings}"]
    return {
        "code": code,
        "nodes": {"table": table, "settings": settings},
        "filenames": {"table": "table.parquet", "settings": "settings.json"},
        "arguments": List([*arguments, "--target", target, "--output", "."]),
        "metadata": {
            "options": job_options(options, list(TRAINING_FILES), "perovskite.train"),
        },
    }


TRAINING_FILES = (
    "model.safetensors",
    "model.json",
    "metrics.json",
    "history.csv",
    "cross_validation.csv",
    "learning_curve.csv",
)
