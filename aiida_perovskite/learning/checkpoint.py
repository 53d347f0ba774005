"""Files of models: safetensors for the weights, JSON for what they mean. Nothing here unpickles."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

import aiida_perovskite
from aiida_perovskite.limits import MAX_JSON, parse_json, read_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CheckpointError",
    "atomic_path",
    "frame_columns",
    "read_json",
    "read_model_files",
    "read_tensors",
    "tensor_hash",
    "versions",
    "write_json",
    "write_tensors",
]


class CheckpointError(ValueError):
    """A checkpoint is missing, truncated, or of another architecture."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it to `path` once the block has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text to one safetensors file; a kill or a full disk leaves the previous file whole.

    Raises
    ------
    OSError
        If the file cannot be written, e.g. because the disk is full.
    """
    with atomic_path(path) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        try:
            safetensors.torch.save_file(contiguous, temporary, metadata=dict(metadata))
        except SafetensorError as error:  # the library's name for whatever the system refuses
            raise OSError(f"{path} cannot be written: {error}") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `write_tensors` wrote; raise `CheckpointError` if the file is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}, dict(file.metadata() or {})
    except FileNotFoundError:
        raise CheckpointError(f"There is no model file {path}.") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}): copy or train it again.") from None


def read_model_files(
    safetensors_path: Path, json_path: Path, expected: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return description and weights of a model, which hold the same hash of the weights.

    Parameters
    ----------
    safetensors_path, json_path
        The two files.
    expected
        What the description has to say of ``architecture``, ``format`` and whatever else decides if it can be read.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, the two do not belong together, or they hold another architecture.
    """
    content = read_json(json_path)
    if any(content.get(key) != value for key, value in expected.items()):
        raise CheckpointError(
            f"{json_path} describes the architecture {content.get('architecture')} (format {content.get('format')}), "
            f"which is not the {expected['architecture']} (format {expected['format']}) of this version: train the "
            "model again, or use the version of aiida-perovskite that wrote it."
        )
    tensors, metadata = read_tensors(safetensors_path)
    if not metadata.get("weights_sha256") == content.get("weights_sha256") == tensor_hash(tensors):
        raise CheckpointError(f"{safetensors_path} and {json_path} are not of the same model, or were changed.")
    return content, tensors


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON; a kill or a full disk leaves the previous file whole."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raise `CheckpointError` if the file is missing or damaged."""
    try:
        content = parse_json(read_text(path, MAX_JSON))
    except FileNotFoundError:
        raise CheckpointError(f"There is no model file {path}.") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}): copy or train it again.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} does not describe a model.")
    return content


def tensor_hash(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def frame_columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a frame as plain lists; JSON has no nan, so that is None there."""
    plain = {str(name): column.tolist() for name, column in frame.items()}
    return {
        name: [None if isinstance(value, float) and math.isnan(value) else value for value in values]
        for name, values in plain.items()
    }


def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that shape a training's result."""
    return {
        "aiida-perovskite": aiida_perovskite.__version__,
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn", "crepes")},
    }
