"""What the settings of all generators and of the truth share. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ..settings import check_ranges, read_settings

__all__ = ["GeneratorSettings"]


@dataclass(frozen=True)
class GeneratorSettings:
    """Base of the settings of a generator: numbers, text, switches and tuples of numbers, checked by `ranges`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if str(field.type).startswith("tuple"):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        check_ranges(self, self.ranges())

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return name -> (whether the value will do, what is allowed in words) of the settings that can be wrong."""
        return {}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build settings from a mapping, e.g. parsed JSON; an unknown key or a wrong type is a `SettingsError`."""
        return read_settings(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_dict` reads them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
