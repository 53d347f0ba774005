"""Species blocks of FHI-aims: what the text of one says, and which files of a folder hold one.

The texts are the user's own, from the ``species_defaults`` folder of their distribution; they are read, never changed.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SpeciesBlock", "Tier", "find_species", "read_species", "read_species_file"]

FILE_NAME = re.compile(r"\d{2,3}_([A-Z][a-z]?)_default")
MAX_BYTES = 1_000_000  # such files have a few kB; what is larger is something else
TIER = re.compile(r'#\s*"?(\w+)[ -]tier\b', re.IGNORECASE)
FURTHER = re.compile(r"#\s*further basis functions", re.IGNORECASE)
BASIS_FUNCTION = re.compile(r"(#\s*)?((?:hydro|ionic|confined|gaussian|sto)\s+\d+\s.*)")
BEFORE_TIERS = "minimal"  # name for additional functions that stand under no heading


@dataclass(frozen=True)
class Tier:
    """One group of additional basis functions of a species.

    Attributes
    ----------
    name
        As in the heading, lower case: ``first``, ``second``, ..., ``further``.
    active
        Functions in use, e.g. ``hydro 2 p 1.8``, with single spaces.
    inactive
        Functions that are commented out.
    """

    name: str
    active: tuple[str, ...]
    inactive: tuple[str, ...]


@dataclass(frozen=True)
class SpeciesBlock:
    """What the text of one species says.

    Attributes
    ----------
    element
        Symbol that belongs to the charge of the nucleus.
    species
        Label by which atoms of ``geometry.in`` refer to it.
    nucleus_charge
        In units of the elementary charge.
    cut_pot
        Onset and width in Angstrom and scale of the confining potential; None if not given.
    l_hartree
        Largest angular momentum of the multipole expansion; None if not given.
    tiers
        Additional basis functions, in order.
    sha256
        Of the whole text, comments included, in UTF-8.
    """

    element: str
    species: str
    nucleus_charge: int
    cut_pot: tuple[float, ...] | None
    l_hartree: int | None
    tiers: tuple[Tier, ...]
    sha256: str


def read_species(text: str) -> SpeciesBlock:
    """Return what the text of a species block says.

    Raises
    ------
    ValueError
        If it holds no species, more than one, no nucleus or one that is no element's, a number that is none, or what
        is no text.
    """
    if "\r" in text:
        raise ValueError("this species text has the line ends of another system: convert them (dos2unix)")
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise ValueError("this is no text of a species: it holds control characters")
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    found = {key: [words[1:] for words in lines if words[:1] == [key]] for key in _READ}
    label = _only(found["species"], "species")
    nucleus = _only(found["nucleus"], "nucleus", label[0])
    charge = _number(nucleus[0], "nucleus", label[0])
    cut_pot, l_hartree = (_last(found[key]) for key in ("cut_pot", "l_hartree"))
    return SpeciesBlock(
        element=_element(charge, label[0]),
        species=label[0],
        nucleus_charge=round(charge),
        cut_pot=tuple(_number(word, "cut_pot", label[0]) for word in cut_pot) if cut_pot else None,
        l_hartree=round(_number(l_hartree[0], "l_hartree", label[0])) if l_hartree else None,
        tiers=_tiers(text),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def read_species_file(path: Path) -> tuple[str, SpeciesBlock]:
    """Return the text of a species file, byte for byte, and what it says.

    Raises
    ------
    ValueError
        If the file holds no species block; the sentence names the file.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as handle:
        content = handle.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} is too large for a species file (over {MAX_BYTES} bytes)")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in ASCII or UTF-8 (byte {error.start})") from error
    try:
        return text, read_species(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def find_species(folder: Path) -> dict[str, Path]:
    """Return element -> file for the files of a folder that are named ``NN_El_default``, sorted by name.

    Raises
    ------
    ValueError
        If the folder does not exist or two files claim one element.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is no folder; give one of species files, such as species_defaults/defaults_2020/light"
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = FILE_NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        other = found.setdefault(match[1], path)
        if other is not path:
            raise ValueError(f"{other.name} and {path.name} in {folder} both claim {match[1]}; remove one")
    return found


_READ = ("species", "nucleus", "cut_pot", "l_hartree")


def _only(found: list[list[str]], keyword: str, label: str = "") -> list[str]:
    """Return the words after a keyword that must stand exactly once."""
    of = f" of {label}" if label else ""
    if not found or not found[0]:
        raise ValueError(f"this is no species block: the `{keyword}` line{of} is missing")
    if len(found) > 1:
        raise ValueError(f"the `{keyword}` line{of} stands {len(found)} times: give one species at a time")
    return found[0]


def _last(found: list[list[str]]) -> list[str]:
    return found[-1] if found else []


def _number(word: str, keyword: str, label: str) -> float:
    """Return a number as Fortran writes it, with a ``d`` for the exponent if it likes."""
    try:
        number = float(word.lower().replace("d", "e"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the `{keyword}` line of {label} holds {word!r} where a number belongs")
    return number


def _element(charge: float, label: str) -> str:
    from ase.data import chemical_symbols

    if not (1 <= charge < len(chemical_symbols)) or charge != round(charge):
        raise ValueError(f"the nucleus of {label} has the charge {charge:g}, which is no element's")
    return str(chemical_symbols[round(charge)])


def _tiers(text: str) -> tuple[Tier, ...]:
    """Gather additional basis functions by the headings, which are comments, that they stand under."""
    name = BEFORE_TIERS
    found: dict[str, tuple[list[str], list[str]]] = {}
    for line in map(str.strip, text.splitlines()):
        if heading := TIER.match(line):
            name = heading[1].lower()
        elif FURTHER.match(line):
            name = "further"
        elif function := BASIS_FUNCTION.match(line):
            active, inactive = found.setdefault(name, ([], []))
            (inactive if function[1] else active).append(" ".join(function[2].partition("#")[0].split()))
    return tuple(Tier(tier, tuple(active), tuple(inactive)) for tier, (active, inactive) in found.items())
