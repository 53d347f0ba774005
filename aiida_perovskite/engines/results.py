"""What the engine scripts read (``input.json``) and write (``results.json``).

``input.json`` holds ``structure`` (symbols, cell and positions in Angstrom, initial magnetic moments in Bohr
magnetons) and ``parameters`` (a protocol). ``results.json`` holds ``status`` (``ok`` or ``error``), ``error`` (code
and message), ``structure`` and ``properties``; a script leaves it whatever happens.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.limits import parse_json

if TYPE_CHECKING:
    from ase import Atoms

ERROR_CODES = frozenset(
    {"geometry_not_converged", "scf_not_converged", "engine_missing", "bad_input", "no_gap", "crashed", "damaged"}
)


# One exit status for each EngineError code. 310, 311: by chance, run again; other 3xx: nothing to repair, 4xx: a
# handler may repair it, 5xx: relaxation.
EXIT_STATUS = {
    "damaged": 311,  # a file is there, but cut off or unreadable
    "engine_missing": 320,
    "bad_input": 321,
    "crashed": 322,
    "no_gap": 330,
    "scf_not_converged": 410,
    "geometry_not_converged": 501,
}
NO_RESULTS = 310  # the job ended (killed, out of memory, no interpreter) before the script could leave its results


class EngineError(ValueError):
    """An engine gave no usable result.

    Attributes
    ----------
    code
        One of :data:`ERROR_CODES`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class RelaxResult:
    """A relaxed structure.

    Attributes
    ----------
    atoms
        The relaxed structure; cell and positions in Angstrom.
    properties
        ``a_angstrom`` (edge of the cube of 40 atoms with this density), ``a_initial_angstrom``, ``x_initial``,
        ``max_force_ev_per_angstrom``, ``max_stress_ev_per_cubic_angstrom``, ``steps``,
        ``energies_of_starts_ev_per_cell``, ``space_group_number`` and ``space_group`` (found at
        ``space_group_tolerance_angstrom``), ``cpu_s``, ``wall_s``, ``versions``, ``settings``, and the energy by the
        name that the engine gives it.
    """

    atoms: Atoms
    properties: dict[str, Any]


@dataclass(frozen=True)
class EnergyResult:
    """Energy of one structure.

    Attributes
    ----------
    energy_ev_per_atom
        Total energy; only differences between equal `functional` and equal settings mean anything.
    functional
        E.g. ``PBE``.
    properties
        ``energy_ev_per_cell``, ``max_force_ev_per_angstrom``, ``settings``, ``versions``, ...
    """

    energy_ev_per_atom: float
    functional: str
    properties: dict[str, Any]


def script_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json`` for a structure and the settings of a protocol.

    Raises
    ------
    EngineError
        With code ``bad_input`` if the structure is not periodic in three directions or holds numbers that are not
        finite.
    """
    if not atoms.pbc.all():
        raise EngineError("bad_input", "the structure is not periodic in all three directions")
    moments = atoms.get_initial_magnetic_moments()
    if not all(np.isfinite(part).all() for part in (atoms.cell.array, atoms.positions, moments)):
        raise EngineError("bad_input", "the structure holds a number that is not finite")
    structure = {
        "symbols": atoms.get_chemical_symbols(),
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.positions.tolist(),
        "initial_magnetic_moments": moments.tolist(),
    }
    return {"structure": structure, "parameters": json.loads(json.dumps(dict(parameters)))}


def read_results(text: str) -> dict[str, Any]:
    """Return the content of a ``results.json`` whose status is ``ok``.

    Raises
    ------
    EngineError
        With the script's own code and message if it reported an error; ``damaged`` if the file is empty or truncated;
        ``crashed`` if it is not of this form.
    """
    try:
        content = parse_json(text)
    except ValueError as error:
        raise EngineError("damaged", f"results.json is empty or truncated ({error}); run the job again") from error
    status = content.get("status") if isinstance(content, dict) else None
    if status == "error" and isinstance(content.get("error"), dict):
        code = str(content["error"].get("code"))
        raise EngineError(code if code in ERROR_CODES else "crashed", str(content["error"].get("message")))
    if status != "ok" or not all(isinstance(content.get(key), dict) for key in ("structure", "properties")):
        raise EngineError("crashed", "results.json was not written by this package's script: status or content missing")
    return dict(content)


def read_structure(structure: Mapping[str, Any]) -> Atoms:
    """Return the periodic structure that a script wrote, with its moments as initial moments (Bohr magnetons)."""
    from ase import Atoms

    try:
        return Atoms(
            structure["symbols"],
            positions=structure["positions"],
            cell=structure["cell"],
            magmoms=structure.get("initial_magnetic_moments"),
            pbc=True,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise EngineError("crashed", f"the structure in results.json cannot be read ({error})") from error


def parse_energy(results_text: str) -> EnergyResult:
    """Return the energy from the text of ``results.json``.

    Raises
    ------
    EngineError
        If the script failed (the code says how), or the file is damaged.
    """
    properties = read_results(results_text)["properties"]
    require_numbers(properties, ("energy_ev_per_atom", "energy_ev_per_cell"))
    if not isinstance(properties.get("functional"), str):
        raise EngineError("crashed", "results.json does not say with which functional the energy was computed")
    return EnergyResult(properties["energy_ev_per_atom"], properties["functional"], properties)


def energy_record(engine: str, result: EnergyResult) -> dict[str, Any]:
    """Return an energy's properties with what must agree between energies that are subtracted from each other.

    ``protocol`` is a digest of the settings, so that two names for one thing compare and one name for two does not.
    """
    settings = json.dumps(result.properties.get("settings"), sort_keys=True)
    return {**result.properties, "engine": engine, "protocol": hashlib.sha256(settings.encode()).hexdigest()[:12]}


def read_relaxed(results_text: str, energy: str) -> RelaxResult:
    """Return a relaxed structure from the text of ``results.json``; `energy` is the property that must be there.

    Raises
    ------
    EngineError
        If the relaxation did not converge or the script failed (the code says which), or the file is damaged.
    """
    content = read_results(results_text)
    require_numbers(content["properties"], (energy, "a_angstrom", "max_force_ev_per_angstrom"))
    return RelaxResult(atoms=read_structure(content["structure"]), properties=content["properties"])


def require_numbers(properties: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise EngineError if one of ``names`` is missing or not a finite number."""
    for name in names:
        value = properties.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise EngineError("crashed", f"results.json holds no finite number {name!r} (found {value!r})")
