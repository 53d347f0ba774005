"""Files of models: safetensors for the weights, JSON for what they mean. Nothing here unpickles."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

import aiida_perovskite
from aiida_perovskite.limits import MAX_JSON, check_size, parse_json, read_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CheckpointError",
    "atomic_path",
    "frame_columns",
    "read_json",
    "read_model_files",
    "read_tensors",
    "require_network",
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


MAX_WEIGHTS = 16 * 2**30  # bytes of a file of weights; the largest networks of this package have some hundred MB
_DTYPES = frozenset({torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `write_tensors` wrote; raise `CheckpointError` if the file is missing or damaged."""
    try:
        check_size(path, MAX_WEIGHTS)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            metadata = dict(file.metadata() or {})
    except FileNotFoundError:
        raise CheckpointError(f"There is no model file {path}.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}): copy or train it again.") from None
    odd = sorted({str(tensor.dtype) for tensor in tensors.values() if tensor.dtype not in _DTYPES})
    if odd:
        raise CheckpointError(f"{path} holds numbers of the kind {', '.join(odd)}, which no model of this package has.")
    return tensors, metadata


def require_network(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], unchecked: Sequence[str] = ()
) -> None:
    """Check weights before a network of the described size is made, which a few bytes could make as large as they like.

    Parameters
    ----------
    shapes
        Name -> shape of tensors that the network has by its description.
    unchecked
        Names of those that may hold nan.

    Raises
    ------
    CheckpointError
        If one is missing or has another shape, or a weight is not finite.
    """
    for name, shape in shapes.items():
        if name not in tensors or tuple(tensors[name].shape) != shape:
            raise CheckpointError(f"The weights are not those of the network that is described: {name} is no {shape}.")
    for name, tensor in tensors.items():
        if name not in unchecked and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"The weights {name} are not finite: train the model again.")


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
