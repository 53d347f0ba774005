"""What the settings of all generators and of the truth share. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ..settings import SettingsError

__all__ = ["GeneratorSettings"]


@dataclass(frozen=True)
class GeneratorSettings:
    """Base of the settings of a generator: numbers, text, switches and tuples of numbers, checked by `check`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if str(field.type).startswith("tuple"):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        for name, (valid, allowed) in self.ranges().items():
            if not valid:
                raise SettingsError(f"Setting {name} = {getattr(self, name)!r} is out of its range ({allowed}).")

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return name -> (whether the value will do, what is allowed in words) of the settings that can be wrong."""
        return {}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build settings from a mapping, e.g. parsed JSON; an unknown key or a wrong type is a `SettingsError`."""
        known = {field.name: str(field.type) for field in fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise SettingsError(f"Unknown settings {', '.join(unknown)}; known are {', '.join(known) or 'none'}.")
        for name, value in values.items():
            if not _has_type(value, known[name]):
                raise SettingsError(f"Setting {name} = {value!r} must be of type {known[name]}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_dict` reads them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _has_type(value: Any, annotation: str) -> bool:
    if isinstance(value, bool) or annotation == "bool":
        return isinstance(value, bool) and annotation == "bool"
    if annotation == "int":
        return isinstance(value, int)
    if annotation == "float":
        return isinstance(value, (int, float))
    if annotation == "str":
        return isinstance(value, str)
    item = annotation.removeprefix("tuple[").split(",")[0]
    return isinstance(value, (list, tuple)) and all(_has_type(entry, item) for entry in value)
