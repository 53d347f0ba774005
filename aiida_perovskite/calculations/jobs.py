"""Inputs of the jobs that aiida-shell runs: an interpreter, a script or module, its input files.

The scripts are input nodes, so a change of one changes the hash of the job: caching never gives back the result of
another version. Jobs that run this package itself carry a checksum of what they run, for the same reason.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida.orm import AbstractCode, Data, FolderData, List, QueryBuilder, SinglefileData

import aiida_perovskite
from aiida_perovskite.engines import JobScript

LEARNING_DIGEST = "AIIDA_PEROVSKITE_LEARNING_SHA256"  # variable of a job's environment; nothing reads it there
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


def learning_job(
    code: AbstractCode,
    command: str,
    files: Mapping[str, tuple[Data, str]],
    arguments: list[str],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that runs ``python -m aiida_perovskite.learning COMMAND``.

    Parameters
    ----------
    code
        Interpreter that has this package and torch.
    command
        Of the learning room.
    files
        Option -> node that it takes and the name of its file (or folder) in the job.
    arguments
        What follows them.
    options
        As `job_options` gives them.
    """
    given = [word for option in files for word in (f"--{option}", f"{{{option}}}")]
    # aiida-shell fills in what stands in braces, which the name of a column may hold too.
    arguments = [word.replace("{", "{{").replace("}", "}}") for word in arguments]
    return {
        "code": code,
        "nodes": {option: node for option, (node, _) in files.items()},
        "filenames": {option: name for option, (_, name) in files.items()},
        "arguments": List(["-m", "aiida_perovskite.learning", command, *given, *arguments, "--output", "."]),
        "metadata": {
            "options": {
                **options,
                "environment_variables": {**options["environment_variables"], LEARNING_DIGEST: learning_digest()},
            }
        },
    }


def learning_digest() -> str:
    """Return the SHA-256 of programs and tables of the learning room, and of the chemistry below it, as they are here.

    A code on another computer should have the same version; `aiida-perovskite doctor` looks.
    """
    return rooms_digest("chemistry", "learning")


@functools.cache
def rooms_digest(*rooms: str) -> str:
    """Return the SHA-256 of the programs and tables of some rooms of this package."""
    package = Path(aiida_perovskite.__file__).parent
    found = hashlib.sha256()
    files = (path for room in rooms for path in (package / room).rglob("*"))
    for path in sorted(path for path in files if path.suffix in (".py", ".csv")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def training_job(
    code: AbstractCode,
    table: SinglefileData,
    settings: SinglefileData,
    target: str,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that trains a gap model by ``python -m aiida_perovskite.learning train``."""
    retrieved = job_options(options, list(TRAINING_FILES), "perovskite.train")
    return learning_job(code, "train", _with_table(table, settings), ["--target", target], retrieved)


def level_training_job(
    code: AbstractCode,
    table: SinglefileData,
    settings: SinglefileData,
    reference: SinglefileData,
    target: str,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that trains level networks: ``python -m aiida_perovskite.learning train-levels``.

    ``reference`` is a CSV of the prior's levels, as `aiida_perovskite.chemistry.read_levels` reads it.
    """
    files = {**_with_table(table, settings), "reference": (reference, "reference.csv")}
    retrieved = job_options(options, list(TRAINING_FILES), "perovskite.train")
    return learning_job(code, "train-levels", files, ["--target", target], retrieved)


def families_job(
    code: AbstractCode,
    model: FolderData,
    levels: SinglefileData,
    settings: SinglefileData,
    attribution_steps: int,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that finds families by ``python -m aiida_perovskite.learning families``."""
    files: dict[str, tuple[Data, str]] = {
        "model": (model, "model"),
        "levels": (levels, "levels.parquet"),
        "settings": (settings, "settings.json"),
    }
    retrieved = job_options(options, list(FAMILIES_FILES), "perovskite.families")
    return learning_job(code, "families", files, ["--attribution-steps", str(attribution_steps)], retrieved)


def generator_training_job(
    code: AbstractCode,
    table: SinglefileData,
    settings: SinglefileData,
    generator: str,
    seed: int,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that trains a generator: ``python -m aiida_perovskite.learning train-generator``.

    ``settings`` are those of the kind of generator.
    """
    retrieved = job_options(options, list(GENERATOR_FILES), "perovskite.generator")
    arguments = ["--generator", generator, "--seed", str(seed)]
    return learning_job(code, "train-generator", _with_table(table, settings), arguments, retrieved)


def trial_job(
    code: AbstractCode,
    table: SinglefileData,
    settings: SinglefileData,
    generator: str,
    seed: int,
    energy_class: int,
    samples: int,
    device: str,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that does a fit of a search: ``... learning try-generator``."""
    numbers = {"--seed": seed, "--energy-class": energy_class, "--samples": samples}
    arguments = ["--generator", generator, "--device", device]
    arguments += [word for name, number in numbers.items() for word in (name, str(number))]
    retrieved = job_options(options, [*GENERATOR_FILES, "quantities.json"], "perovskite.trial")
    return learning_job(code, "try-generator", _with_table(table, settings), arguments, retrieved)


def design_job(
    code: AbstractCode,
    model: FolderData,
    table: SinglefileData | None,
    settings: SinglefileData,
    target: str,
    n: int,
    exclude: Sequence[str],
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that proposes compounds: ``... learning sample-generator``.

    ``target`` and ``n`` say what is wanted, ``exclude`` the symbols of elements that are not. A generator that can
    predict on its own needs no ``table``.
    """
    arguments = ["--target", target, "-n", str(n), *(word for symbol in exclude for word in ("--exclude", symbol))]
    retrieved = job_options(options, list(DESIGN_FILES), "perovskite.design")
    return learning_job(code, "sample-generator", _with_model(model, table, settings), arguments, retrieved)


def evaluation_job(
    code: AbstractCode,
    model: FolderData,
    table: SinglefileData,
    settings: SinglefileData,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that judges a generator: ``... learning evaluate-generator``."""
    retrieved = job_options(options, list(EVALUATION_FILES), "perovskite.evaluation")
    return learning_job(code, "evaluate-generator", _with_model(model, table, settings), [], retrieved)


def benchmark_job(
    code: AbstractCode,
    table: SinglefileData,
    settings: SinglefileData,
    device: str,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the inputs of a ShellJob that compares generators: ``... learning benchmark-generators``."""
    retrieved = job_options(options, list(BENCHMARK_FILES), "perovskite.generative_study")
    return learning_job(code, "benchmark-generators", _with_table(table, settings), ["--device", device], retrieved)


def _with_table(table: SinglefileData, settings: SinglefileData) -> dict[str, tuple[Data, str]]:
    return {"table": (table, "table.parquet"), "settings": (settings, "settings.json")}


def _with_model(
    model: FolderData, table: SinglefileData | None, settings: SinglefileData
) -> dict[str, tuple[Data, str]]:
    files: dict[str, tuple[Data, str]] = {"model": (model, "model"), "settings": (settings, "settings.json")}
    return files if table is None else {**files, "table": (table, "table.parquet")}


TRAINING_FILES = (
    "model.safetensors",
    "model.json",
    "metrics.json",
    "history.csv",
    "cross_validation.csv",
    "learning_curve.csv",
)

FAMILIES_FILES = (
    "members.csv",
    "scan.csv",
    "families.csv",
    "elements.csv",
    "claims.csv",
    "components.csv",
    "stability.csv",
    "attributions.csv",
    "summary.json",
    "agreement.json",
)

GENERATOR_FILES = ("generator.safetensors", "generator.json")
DESIGN_FILES = ("compositions.csv", "summary.json")
EVALUATION_FILES = ("evaluation.csv", "truth.npz", "truth.json")
BENCHMARK_FILES = (
    "metrics.csv",
    "fits.csv",
    "saturation.csv",
    "js_matrix.csv",
    "elements.csv",
    "energies.csv",
    "metrics.json",
    "generators",  # a folder
)
