"""Inverse design: generators of compositions by energy class, and the exact truth that they are measured against.

`space` and `table` say what is generated and what is learned from; `generator` is what all generators share, and
`GENERATORS` names them; `truth` and `metrics` judge, and no generator may import them. Names are loaded at
their first use.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generator import Generator

GENERATORS: dict[str, tuple[str, str]] = {
    "random": ("baselines", "RandomGenerator"),
    "independent": ("baselines", "IndependentSites"),
    "enrichment": ("baselines", "Enrichment"),
    "enumeration": ("baselines", "Enumeration"),
    "evolution": ("baselines", "Evolution"),
    "vae": ("vae", "VAE"),
    "gan": ("gan", "GAN"),
    "rl": ("deep_q", "DeepQ"),
    "autoregressive": ("autoregressive", "Autoregressive"),
}
"""Name of a generator -> its module in this package and its class."""

_LAZY = {
    "ElpasoliteTable": "table",
    "GenerativeError": "space",
    "Generator": "generator",
    "Truth": "truth",
    "TruthSettings": "truth",
}

__all__ = ["GENERATORS", "generator_type", "load_generator", *sorted(_LAZY)]


def generator_type(name: str) -> type[Generator]:
    """Return the class of a generator; raise `GenerativeError` if there is none of that name."""
    from .space import GenerativeError

    if name not in GENERATORS:
        raise GenerativeError(f"There is no generator {name!r}; choose from {', '.join(GENERATORS)}.")
    module, class_name = GENERATORS[name]
    found: type[Generator] = getattr(import_module(f".{module}", __name__), class_name)
    return found


def load_generator(folder: str | Path) -> Generator:
    """Read a generator of any kind that `Generator.save` wrote into a folder."""
    from ..checkpoint import CheckpointError, read_json
    from .generator import JSON_FILE

    name = read_json(Path(folder) / JSON_FILE).get("name")
    if name not in GENERATORS:
        raise CheckpointError(f"{folder} holds a generator of the kind {name}, which this version does not know.")
    return generator_type(str(name)).load(folder)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
