"""What the input files of an existing run ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_perovskite.engines.aims.control import RESERVED, ControlFile, read_control
from aiida_perovskite.engines.aims.request import AimsRequest, DensityOfStates, Dielectric, Relaxation, Segment
from aiida_perovskite.engines.aims.structure_files import GeometryFile

UNDERSTOOD = ("band", "dos", "atom_proj_dos", "dielectric")


@dataclass(frozen=True)
class ExistingRun:
    """A request and, by label, the texts of its species."""

    request: AimsRequest
    species: Mapping[str, str]


def read_request(control: str, geometry: GeometryFile) -> ExistingRun:
    """Return what ``control.in`` and ``geometry.in`` of a run ask for.

    Parameters
    ----------
    control
        Text of ``control.in``.
    geometry
        ``geometry.in``, as `read_geometry` reads it.

    Raises
    ------
    ValueError
        If the run is not periodic, or asks for what an `AimsRequest` cannot express; the sentence names the line.
    """
    found = read_control(control)
    repeated = [name for name, value in found.keywords.items() if not isinstance(value, str)]
    if repeated:
        raise ValueError(f"control.in sets {', '.join(repeated)} more than once")
    words = {name: str(value).split() for name, value in found.keywords.items()}
    if "k_grid" not in words or not geometry.atoms.pbc.all():
        raise ValueError("the run has no k_grid, or is not periodic: only crystals can be taken in")
    if any(float(shift) for shift in words.get("k_offset", [])):
        raise ValueError("the run has a shifted k-point grid (k_offset)")
    moments = geometry.atoms.get_initial_magnetic_moments()  # type: ignore[no-untyped-call]
    request = AimsRequest(
        keywords={name: value for name, value in found.keywords.items() if name not in RESERVED},
        k_grid=tuple(int(n) for n in words["k_grid"]),  # type: ignore[arg-type]
        spin="collinear" if words.get("spin", ["none"])[0] == "collinear" else "none",
        initial_moments=tuple(float(moment) for moment in moments) if moments.any() else None,
        symmetric=bool(geometry.symmetry),
        relaxation=_relaxation(words),
        spin_orbit="include_spin_orbit" in words,
        density_restart="elsi_restart" in words,
        restart_hessian=any(line.split()[0] == "hessian_file" for line in geometry.extra),
        **_outputs(found),
    )
    request.require_valid()
    return ExistingRun(request, found.species)


def _relaxation(words: Mapping[str, list[str]]) -> Relaxation | None:
    method = words.get("relax_geometry", ["none"])
    if method[0] == "none":
        return None
    default = Relaxation()
    return Relaxation(
        max_force_ev_per_angstrom=float(method[1]) if len(method) > 1 else default.max_force_ev_per_angstrom,
        cell=words.get("relax_unit_cell", ["none"])[0],  # type: ignore[arg-type]
        max_steps=int(words["max_relaxation_steps"][0]) if "max_relaxation_steps" in words else default.max_steps,
        algorithm=method[0],
    )


def _outputs(found: ControlFile) -> dict[str, Any]:
    segments, width, spectrum, dos, style = [], None, None, None, "compute_dielectric"
    for line in found.outputs:
        keyword, *rest = line.split()
        if keyword == "output" and rest[:1] == ["band"]:
            numbers = [float(word) for word in rest[1:7]]
            names = (rest[8], rest[9]) if len(rest) > 9 else ("start", "end")
            segments.append(Segment(tuple(numbers[:3]), tuple(numbers[3:]), int(rest[7]), names))  # type: ignore[arg-type]
        elif keyword == "output" and rest[:1] in (["dos"], ["atom_proj_dos"]):
            low, high, points, broadening = (float(word) for word in rest[1:5])
            dos = DensityOfStates(low, high, int(points), broadening)
        elif keyword == "output" and rest[:2] == ["dielectric", "gaussian"]:
            width, style = float(rest[2]), "output_dielectric"
        elif keyword == "compute_dielectric":
            spectrum = (float(rest[0]), int(float(rest[1])))
        elif keyword == "dielectric_broadening" and rest[:1] == ["gaussian"]:
            width = float(rest[1])
        else:
            raise ValueError(f"the run asks for {line!r}, which is not understood; known: {', '.join(UNDERSTOOD)}")
    dielectric = None
    if spectrum is not None:
        dielectric = Dielectric(*spectrum, width if width is not None else Dielectric.broadening_ev, style)  # type: ignore[arg-type]
    return {"bands": tuple(segments), "dielectric": dielectric, "dos": dos}
