"""The text of ``control.in`` from settings, and back.

Written directly: pyfhiaims 1.2 rewrites the species blocks (the user's text has to go in verbatim, since its checksum
is in the provenance) and heads its files with the date and the path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

__all__ = [
    "RESERVED",
    "ControlFile",
    "band_line",
    "check_expert",
    "control_text",
    "dielectric_lines",
    "dos_lines",
    "read_control",
]

# Keyword that an expert may not give -> what to do instead.
RESERVED = {
    "compute_dielectric": "ask for the dielectric function in the settings",
    "default_initial_moment": "it follows from the initial magnetic moments of the structure",
    "dielectric_broadening": "it goes with the dielectric function, in the settings",
    "elsi_restart": "restarts are arranged by the plugin: give a restart folder",
    "include_spin_orbit": "ask for spin-orbit coupling in the settings",
    "k_grid": "give the k-points as an input of their own",
    "k_grid_density": "give the k-points as an input of their own",
    "k_offset": "give the offset with the k-points, an input of their own",
    "k_points_external": "give the k-points as an input of their own",
    "max_relaxation_steps": "set the relaxation in the settings",
    "output": "ask for bands, dielectric function and densities of states in the settings",
    "postprocess_anyway": "what follows from a density that is not converged means nothing: leave it out",
    "relax_geometry": "set the relaxation in the settings",
    "relax_unit_cell": "set the relaxation in the settings",
    "species": "species blocks are inputs of their own (`aiida-perovskite setup species` installs them)",
    "spin": "choose the treatment of spin in the settings",
}
# What no control.in of this package holds among its keywords, whoever asks for it.
NEVER = ("output", "postprocess_anyway", "species")

# Lines that ask for results stand after the keywords, in the order given: FHI-aims reads some of them in turn.
OUTPUT_KEYWORDS = ("output", "compute_dielectric", "dielectric_broadening")

# Keywords of the plugin in the order of the published examples; the others follow by alphabet. So the text does not
# depend on the order in which a database returns a dictionary. `mixer` and `occupation_type` precede what tunes them.
ORDER = (
    "xc",
    "hse_unit",
    "spin",
    "default_initial_moment",
    "relativistic",
    "include_spin_orbit",
    "k_grid",
    "k_offset",
    "sc_accuracy_rho",
    "sc_accuracy_etot",
    "sc_iter_limit",
    "occupation_type",
    "mixer",
    "relax_geometry",
    "relax_unit_cell",
    "max_relaxation_steps",
    "exx_band_structure_version",
    "elsi_restart",
)
KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LABEL = re.compile(r"[^\s#,]+")
MARKER = "# species text, verbatim from here: "
FIRST_SPECIES = re.compile(r"^[ \t]*species[ \t]", re.MULTILINE)
DOS_KINDS = ("dos", "atom_proj_dos", "species_proj_dos")
DIELECTRIC_STYLES = ("compute_dielectric", "output_dielectric")


class ControlFile(NamedTuple):
    """What a ``control.in`` says.

    Attributes
    ----------
    keywords
        Keyword -> its value as text with single spaces (empty for a bare keyword); a keyword that stands more than
        once -> one list of words per line.
    outputs
        Lines that ask for results, with single spaces, in order.
    species
        Label of each species -> the text of its block, verbatim where :func:`control_text` wrote the file; else from
        its ``species`` line to the next.
    """

    keywords: dict[str, str | list[list[str]]]
    outputs: tuple[str, ...]
    species: dict[str, str]


def control_text(keywords: Mapping[str, Any], outputs: Sequence[str], species: Mapping[str, str]) -> str:
    """Return the text of ``control.in``; equal settings in any order give equal text.

    Parameters
    ----------
    keywords
        Keyword of FHI-aims -> value: text, number, boolean, a sequence of these (one line), or a sequence of sequences
        (the keyword once for each). An empty text writes the bare keyword.
    outputs
        Lines that ask for results, as :func:`band_line`, :func:`dielectric_lines` and :func:`dos_lines` give them.
    species
        Label of each species in ``geometry.in`` -> the text of its block, written verbatim.

    Raises
    ------
    ValueError
        If a keyword or value cannot stand in the file, or a text is not the block of its species.
    """
    lines = []
    for keyword in sorted(keywords, key=_place):
        _check_keyword(keyword)
        if keyword.lower() in NEVER:
            raise ValueError(_refusal(keyword))
        lines += [f"{keyword:<26} {value}".rstrip() for value in _values(keyword, keywords[keyword])]
    lines += [_output_line(line) for line in outputs]
    return "".join(f"{line}\n" for line in lines) + "".join(
        _species_part(name, species[name]) for name in sorted(species)
    )


def check_expert(keywords: Mapping[str, Any]) -> None:
    """Raise ValueError for expert keywords that are reserved or could not be written."""
    for keyword, value in keywords.items():
        _check_keyword(keyword)
        if keyword.lower() in RESERVED:
            raise ValueError(_refusal(keyword))
        _values(keyword, value)


def band_line(start: Sequence[float], end: Sequence[float], n_points: int, names: tuple[str, str]) -> str:
    """Return the line that asks for the bands along one segment.

    Parameters
    ----------
    start, end
        Fractional coordinates of the ends, shape (3,) each, in reciprocal lattice vectors.
    n_points
        Number of k-points, both ends included.
    names
        Names of the two ends, e.g. ``("G", "X")``.

    Raises
    ------
    ValueError
        If there are fewer than two points, a coordinate is not finite or a name holds spaces.
    """
    ends = [*start, *end]
    if len(start) != 3 or len(end) != 3 or not all(math.isfinite(k) for k in ends):
        raise ValueError(f"a band segment needs two ends of three finite coordinates, not {start} and {end}")
    if n_points < 2:
        raise ValueError(f"a band segment needs at least 2 points, not {n_points}")
    if len(names) != 2 or not all(LABEL.fullmatch(name) for name in names):
        raise ValueError(f"a band segment needs two names without spaces, not {names!r}")
    return f"output band {' '.join(f'{k + 0.0:.8f}' for k in ends)} {n_points} {names[0]} {names[1]}"


def dielectric_lines(style: str, omega_max_ev: float, n_omega: int, broadening_ev: float) -> list[str]:
    """Return the lines that ask for the dielectric function in the independent-particle approximation.

    Parameters
    ----------
    style
        ``compute_dielectric``: the broadening as a keyword of its own. ``output_dielectric``: on one line per component
        (x x, y y, z z), as seen in real input of version 221103.
    omega_max_ev
        Upper end of the grid of photon energies (the grid leaves it out), in eV.
    n_omega
        Number of points of the grid.
    broadening_ev
        Width of the Gaussian broadening in eV.

    Raises
    ------
    ValueError
        If a number is not positive or the style is unknown.
    """
    if not all(math.isfinite(number) and number > 0 for number in (omega_max_ev, n_omega, broadening_ev)):
        raise ValueError(
            f"a dielectric function needs a positive range, number of points and broadening, not {omega_max_ev} eV, "
            f"{n_omega} and {broadening_ev} eV"
        )
    first = f"compute_dielectric {float(omega_max_ev)!r} {int(n_omega)}"
    width = repr(float(broadening_ev))
    if style == "compute_dielectric":
        return [first, f"dielectric_broadening gaussian {width}"]
    if style == "output_dielectric":
        return [first, *(f"output dielectric gaussian {width} {axis} {axis}" for axis in "xyz")]
    raise ValueError(f"no style {style!r} of dielectric output; choose from {', '.join(DIELECTRIC_STYLES)}")


def dos_lines(
    e_min_ev: float,
    e_max_ev: float,
    n_points: int,
    broadening_ev: float,
    kinds: Sequence[str] = ("dos", "atom_proj_dos"),
) -> list[str]:
    """Return the lines that ask for densities of states, in total and projected on atoms and angular momenta.

    Parameters
    ----------
    e_min_ev, e_max_ev
        Range in eV on the absolute scale of the eigenvalues in the standard output, not from the Fermi level or a band
        edge (as the raw DOS files of a real run show).
    n_points
        Number of energies.
    broadening_ev
        Width of the Gaussian broadening in eV.
    kinds
        Some of ``dos``, ``atom_proj_dos``, ``species_proj_dos``.

    Raises
    ------
    ValueError
        If the range is empty, a number is not positive, or a kind is unknown.
    """
    numbers = (e_min_ev, e_max_ev, n_points, broadening_ev)
    if not (all(map(math.isfinite, numbers)) and e_min_ev < e_max_ev and n_points > 1 and broadening_ev > 0):
        raise ValueError(
            f"a density of states needs a range, at least 2 points and a positive broadening, not {e_min_ev} to "
            f"{e_max_ev} eV, {n_points} and {broadening_ev} eV"
        )
    unknown = set(kinds) - set(DOS_KINDS)
    if unknown:
        raise ValueError(f"no density of states {sorted(unknown)}; choose from {', '.join(DOS_KINDS)}")
    tail = f"{float(e_min_ev)!r} {float(e_max_ev)!r} {int(n_points)} {float(broadening_ev)!r}"
    return [f"output {kind} {tail}" for kind in kinds]


def read_control(text: str) -> ControlFile:
    """Return what the text of a ``control.in`` says.

    Raises
    ------
    ValueError
        If a species stands in it twice.
    """
    marked = text.split(MARKER)
    if len(marked) > 1:
        head, blocks = marked[0], [part.partition("\n")[2] for part in marked[1:]]
    else:
        starts = [match.start() for match in FIRST_SPECIES.finditer(text)]
        ends = [*starts[1:], len(text)] if starts else []
        head = text[: starts[0]] if starts else text
        blocks = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    species: dict[str, str] = {}
    for block in blocks:
        words = next((_words(line) for line in block.splitlines() if _words(line)[:1] == ["species"]), [])
        label = words[1] if len(words) > 1 else ""
        if label in species or not label:
            raise ValueError(f"control.in defines the species {label!r} twice" if label else "a species has no label")
        species[label] = block
    lines = [words for words in map(_words, head.splitlines()) if words]
    outputs = tuple(" ".join(words) for words in lines if words[0] in OUTPUT_KEYWORDS)
    return ControlFile(_gather([words for words in lines if words[0] not in OUTPUT_KEYWORDS]), outputs, species)


def _gather(lines: list[list[str]]) -> dict[str, str | list[list[str]]]:
    """Return keyword -> value, or -> values where a keyword is repeated."""
    found: dict[str, list[list[str]]] = {}
    for keyword, *values in lines:
        found.setdefault(keyword, []).append(values)
    return {keyword: " ".join(values[0]) if len(values) == 1 else values for keyword, values in found.items()}


def _words(line: str) -> list[str]:
    """Return the words of a line without its comment."""
    return line.partition("#")[0].split()


def _place(keyword: str) -> tuple[int, str]:
    """Return the key by which keywords are sorted."""
    return (ORDER.index(keyword) if keyword in ORDER else len(ORDER), str(keyword))


def _check_keyword(keyword: str) -> None:
    if not isinstance(keyword, str) or not KEYWORD.fullmatch(keyword):
        raise ValueError(f"{keyword!r} is no keyword of FHI-aims: letters, digits and underscores only")


def _refusal(keyword: str) -> str:
    return f"the keyword {keyword!r} cannot be given here: {RESERVED[keyword.lower()]}"


def _values(keyword: str, value: Any) -> list[str]:
    """Return the text of the value, once for each line on which the keyword stands."""
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        nested = [isinstance(part, Sequence) and not isinstance(part, str) for part in value]
        if all(nested):
            return [" ".join(_word(keyword, word) for word in part) for part in value]
        if not any(nested):
            return [" ".join(_word(keyword, word) for word in value)]
    return [_word(keyword, value)]


def _word(keyword: str, value: Any) -> str:
    """Return one value as FHI-aims reads it."""
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real) and math.isfinite(value):
        return repr(float(value))
    if isinstance(value, str) and value.isascii() and (value.isprintable() or not value) and "#" not in value:
        return " ".join(value.split())
    raise ValueError(
        f"{value!r} cannot be the value of {keyword!r}: give a finite number, a boolean, text of one line without '#', "
        "or a list of these"
    )


def _output_line(line: str) -> str:
    """Return a line that asks for a result, with single spaces, or refuse it."""
    if not isinstance(line, str) or not line.split() or line.split()[0] not in OUTPUT_KEYWORDS:
        raise ValueError(f"{line!r} asks for no result: it must begin with one of {', '.join(OUTPUT_KEYWORDS)}")
    return _word("output", line)


def _species_part(label: str, text: str) -> str:
    """Return the block of a species behind the line that marks where it begins."""
    from aiida_perovskite.engines.aims.species import read_species

    block = read_species(text)
    if block.species != label:
        raise ValueError(f"the species text given for {label} is that of {block.species}: give each its own")
    return f"{MARKER}{label}\n{text}" + ("" if text.endswith("\n") else "\n")
