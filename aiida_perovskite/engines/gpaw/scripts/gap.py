"""HSE06 + spin-orbit gap with GPAW: ``python gap.py input.json`` writes ``results.json`` and ``arrays.npz``.

PBE -> halide of an undistorted double perovskite moved by the PBE force -> HSE06 eigenvalues, non-self-consistent where
PBE has a gap to start from, else self-consistent with the halide moved once more by the force of HSE06 -> spin-orbit
coupling, non-self-consistent. Needs GPAW, ASE, numpy and the modules that travel beside it, not the package that ships
them.
``results.json`` is written whatever happens; the exit status is 0 only if there is a result.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import sys
from typing import Any

import numpy as np
from gpaw_ground_state import (
    GROUND_STATE_SETTINGS,
    check_engine,
    count_electrons,
    count_occupied,
    prepare_pbe,
    read_setups,
    self_consistent_energy,
    set_moments,
    setup_names,
    versions,
)
from gpaw_hybrid import HYBRID_SETTINGS, HybridNotConvergedError, SelfConsistentHybrid, eigenvalues
from perovskite_job import ScriptError, Stopwatch, describe_atoms, progress, read_input, run_job

SETTINGS = {
    **GROUND_STATE_SETTINGS,
    **HYBRID_SETTINGS,
    "self_consistent_hybrid": ("never", "gapless", "always"),
    "kpoints": list,
    "hybrid_bands_below": int,
    "hybrid_bands_above": int,
    "spin_orbit_bands_above": int,
    "max_halide_force_ev_per_angstrom": float,
    "max_halide_steps": int,
    "max_hybrid_halide_force_ev_per_angstrom": float,
    "max_hybrid_halide_steps": int,
}
GAPLESS_EV = 0.05  # PBE gaps up to this count as none: the hybrid step would start from a metal
MOMENT_TOLERANCE = 0.1  # Bohr magnetons; a total moment further from an integer belongs to a metal
# Points of the face-centred cubic zone in units of 2 pi / a, coordinates in falling order (U is another K).
FCC_POINTS = {"G": (0, 0, 0), "X": (1, 0, 0), "L": (0.5, 0.5, 0.5), "W": (1, 0.5, 0), "K": (0.75, 0.75, 0)}


def check_bands(parameters: dict[str, Any]) -> None:
    """Refuse numbers of bands of which one needs more than the other gives."""
    for more, fewer in (
        ("empty_bands", "converged_empty_bands"),
        ("empty_bands", "spin_orbit_bands_above"),
        ("converged_empty_bands", "hybrid_bands_above"),
    ):
        if parameters[more] < parameters[fewer]:
            raise ScriptError("bad_input", f"parameter {more} must not be below {fewer}")


# ------------------------------------------------------------------------------------------------------- geometry


class Octahedra:
    """The one free coordinate of an undistorted double perovskite: D moves along A-D-B.

    ``site_a`` is the first of the two elements that occur once, ``x`` its distance to D over ``a`` (Angstrom).
    """

    def __init__(self, atoms: Any, site_a: int, halides: list[int], to_a: np.ndarray) -> None:
        self.site_a, self.halides = site_a, halides
        self.a = float((4 * atoms.get_volume()) ** (1 / 3))
        self.x = float(np.linalg.norm(to_a, axis=1).mean() / self.a)
        self.directions = to_a / np.linalg.norm(to_a, axis=1)[:, None]

    @classmethod
    def find(cls, atoms: Any) -> Octahedra | None:
        """Return the coordinate, or None if the structure is not a double perovskite with space group Fm-3m."""
        symbols = list(atoms.symbols)
        singles = [i for i, symbol in enumerate(symbols) if symbols.count(symbol) == 1]
        halides = [i for i, symbol in enumerate(symbols) if symbols.count(symbol) == 6]
        if len(symbols) != 10 or len(singles) != 2 or len(halides) != 6:
            return None
        to_a, to_b = (atoms.get_distances(site, halides, mic=True, vector=True) for site in singles)
        result = cls(atoms, singles[0], halides, to_a)
        da, db = np.linalg.norm(to_a, axis=1), np.linalg.norm(to_b, axis=1)
        if np.ptp(da) > 1e-3 or np.ptp(db) > 1e-3 or abs(da.mean() + db.mean() - result.a / 2) > 1e-3:
            return None
        # A sideways shift changes the lengths in second order only, but bends A-D-B in first.
        if np.abs(to_a / da[:, None] + to_b / db[:, None]).max() > 1e-3:
            return None
        return result

    def move(self, atoms: Any, x: float) -> None:
        """Put the halides at distance ``x * a`` from A."""
        atoms.positions[self.halides] = atoms.positions[self.site_a] + x * self.a * self.directions
        self.x = x

    def force(self, forces: np.ndarray) -> float:
        """Return the force on D away from A, eV/Angstrom."""
        return float(np.einsum("ij,ij->i", forces[self.halides], self.directions).mean())


def next_x(xs: list[float], forces: list[float], a: float) -> float:
    """Return the next A-D distance (over ``a``) by the secant rule, at most 0.015 away.

    The first step takes the force constant of -8 eV/Angstrom^2, typical of these halides, as does one where the secant
    would point uphill.
    """
    slope = (forces[-1] - forces[-2]) / (xs[-1] - xs[-2]) / a if len(xs) > 1 else -8.0
    slope = slope if slope < -1.0 else -8.0
    return xs[-1] + float(np.clip(-forces[-1] / slope / a, -0.015, 0.015))


# ------------------------------------------------------------------------------------------------------------ PBE


def converge_pbe(atoms: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Find the PBE ground state, moving the halide where symmetry leaves it one coordinate; return the geometry."""
    octahedra = Octahedra.find(atoms)
    xs, forces = [octahedra.x if octahedra else math.nan], []
    while True:
        energy = self_consistent_energy(atoms, parameters)
        if octahedra is None:
            progress(f"PBE: {energy:.4f} eV per cell; the halide is not moved: not an undistorted double perovskite")
            break
        forces.append(octahedra.force(atoms.get_forces()))
        progress(f"PBE: {energy:.4f} eV per cell, x {xs[-1]:.5f}, force on the halide {forces[-1]:+.3f} eV/Angstrom")
        if (
            abs(forces[-1]) < parameters["max_halide_force_ev_per_angstrom"]
            or len(xs) == parameters["max_halide_steps"]
        ):
            break
        xs.append(next_x(xs, forces, octahedra.a))
        octahedra.move(atoms, xs[-1])
    return {
        "a_angstrom": float((4 * atoms.get_volume() * 10 / len(atoms)) ** (1 / 3)),
        "x_halide": xs[-1] if octahedra else None,
        "x_chgnet": xs[0] if octahedra else None,
        "x_pbe": xs[-1] if octahedra else None,
        "force_on_halide_ev_per_angstrom": forces[-1] if octahedra else None,
        "halide_steps": len(forces),
        "energy_pbe_ev_per_cell": energy,
    }


# ---------------------------------------------------------------------------------------------------------- bands


class Bands:
    """Eigenvalues of one level of theory over the whole zone, and what follows from them.

    ``eigenvalues_ev`` (n_spin, n_k, n_bands) is sorted within each k-point; ``n_occupied`` counts bands per spin.
    """

    def __init__(self, eigenvalues_ev: np.ndarray, n_occupied: list[int], kpoints: np.ndarray) -> None:
        self.eigenvalues_ev = np.sort(eigenvalues_ev, axis=-1)
        self.n_occupied = n_occupied
        self.kpoints = kpoints
        pairs = list(zip(self.eigenvalues_ev, n_occupied, strict=True))
        self.valence = np.max([bands[:, n - 1] for bands, n in pairs if n > 0], axis=0)  # a spin may have no electron
        self.conduction = np.min([bands[:, n] for bands, n in pairs], axis=0)
        self.vbm = float(self.valence.max())
        self.raw_gap = float(self.conduction.min() - self.vbm)

    def properties(self, level: str) -> dict[str, Any]:
        """Return gaps (eV, 0 where bands overlap) and the k-points of the edges."""
        direct = self.conduction - self.valence
        gamma = int(np.abs(self.kpoints).sum(1).argmin())
        # The first of equivalent points, not the one that rounding favours.
        edges = {
            "vbm": self.kpoints[int(np.argmax(self.valence > self.vbm - 1e-5))],
            "cbm": self.kpoints[int(np.argmax(self.conduction < self.conduction.min() + 1e-5))],
        }
        result: dict[str, Any] = {
            f"gap_{level}_ev": max(self.raw_gap, 0.0),
            f"raw_gap_{level}_ev": self.raw_gap,
            f"direct_gap_{level}_ev": max(float(direct.min()), 0.0),
            f"gamma_gap_{level}_ev": max(float(direct[gamma]), 0.0),
        }
        suffix = "" if level == "hse06_soc" else f"_{level}"
        for edge, k in edges.items():
            result[f"{edge}_k{suffix}"] = " ".join(f"{part:g}" for part in np.round(k, 4) + 0.0)
            result[f"{edge}_label{suffix}"] = label_fcc(k)
        return result


def label_fcc(k: np.ndarray) -> str:
    """Return the name of a k-point of the face-centred cubic zone, ``G-X`` and the like on a line, else ``""``.

    ``k`` is in fractions of the reciprocal vectors of the primitive cell a/2 [(0,1,1),(1,0,1),(1,1,0)].
    """
    to_cubic = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])  # to units of 2 pi / a
    images = (np.array(k) + np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))) @ to_cubic
    shortest = min(images, key=lambda q: (round(float(q @ q), 6), round(float(np.abs(q).max()), 6)))
    z, y, x = np.sort(np.abs(shortest))  # x >= y >= z
    for name, point in FCC_POINTS.items():
        if np.allclose((x, y, z), point, atol=1e-4):
            return name
    away = {
        "G-X": y,
        "G-L": x - z,
        "G-K": max(x - y, z),
        "X-W": max(abs(x - 1), z),
        "L-W": max(abs(x + z - 1), abs(y - 0.5)),
    }
    return next((name for name, distance in away.items() if distance < 1e-4), "")


def compute_bands(
    calc: Any, hybrid: Any, n_occupied: list[int], parameters: dict[str, Any], watch: Stopwatch
) -> dict[str, Bands]:
    """Return the bands of PBE, PBE + SOC, HSE06 and HSE06 + SOC on the same k-points, energies absolute (eV).

    ``hybrid`` is a calculator whose HSE06 orbitals are self-consistent; without one HSE06 eigenvalues are computed from
    the PBE orbitals of ``calc``.
    """
    from gpaw.hybrids.eigenvalues import non_self_consistent_eigenvalues
    from gpaw.spinorbit import soc_eigenstates

    first = max(min(n_occupied) - parameters["hybrid_bands_below"], 0)
    last = min(max(n_occupied) + parameters["hybrid_bands_above"], calc.get_number_of_bands())
    window = {"n1": first, "n2": last}
    inside = [n - first for n in n_occupied]
    # One electron per spinor band: both spins of the closed-shell case count.
    spinors = [sum(inside) if len(inside) == 2 else 2 * inside[0]]
    kpoints, to_irreducible = calc.get_bz_k_points(), calc.get_bz_to_ibz_map()
    pbe = eigenvalues(calc)[..., first:last]
    bands = {"pbe": Bands(pbe[:, to_irreducible], inside, kpoints)}
    with watch.step("spin_orbit"):
        coupled = max(n_occupied) + parameters["spin_orbit_bands_above"]
        pbe_soc = soc_eigenstates(calc, n1=0, n2=coupled).eigenvalues()[:, 2 * first : 2 * last]
    with watch.step("hse06"):
        if hybrid is None:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints every pair of k-points
                own, own_xc, hybrid_xc = non_self_consistent_eigenvalues(calc, "HSE06", **window)
            hse06 = own - own_xc + hybrid_xc
        else:
            hse06 = eigenvalues(hybrid)[..., first:last]
    with watch.step("spin_orbit"):
        hse06_soc = soc_eigenstates(hybrid or calc, **window, eigenvalues=hse06).eigenvalues()
    return bands | {
        "pbe_soc": Bands(pbe_soc[None], spinors, kpoints),
        "hse06": Bands(hse06[:, to_irreducible], inside, kpoints),
        "hse06_soc": Bands(hse06_soc[None], spinors, kpoints),
    }


# ------------------------------------------------------------------------------------------------- hybrid orbitals


class Hybrid:
    """Makes HSE06 self-consistent where the settings want it, and moves the halide to where it leaves no force.

    Attributes
    ----------
    calc
        Calculator with self-consistent orbitals; None where none is wanted, or none was found.
    properties, notes
        What became of it.
    """

    def __init__(self, atoms: Any, parameters: dict[str, Any]) -> None:
        self.atoms, self.parameters = atoms, parameters
        self.calc: Any = None
        self.notes: list[str] = []
        self.properties: dict[str, Any] = {
            "hybrid_self_consistent": False,
            "force_hse06_on_halide_ev_per_angstrom": None,
        }

    def converge(self, pbe: Any, gapless: bool, n_electrons: int, highest: int) -> None:
        """Start from a PBE calculator, which follows the halide; ``gapless`` says whether it has no gap."""
        wanted = self.parameters["self_consistent_hybrid"]
        if wanted == "never" or (wanted == "gapless" and not gapless):
            return
        found = SelfConsistentHybrid(self.atoms, pbe, self.parameters, n_electrons, highest)
        try:
            found.converge()
            self.move_halide(found)
        except HybridNotConvergedError as error:
            self.notes.append(f"HSE06 was not made self-consistent: {error}")
            return
        self.calc = found.calc
        self.properties["hybrid_self_consistent"] = True

    def move_halide(self, found: SelfConsistentHybrid) -> None:
        """Move the halide, and the orbitals of PBE and HSE06 with it, until HSE06 leaves no force on it."""
        octahedra, most = Octahedra.find(self.atoms), self.parameters["max_hybrid_halide_steps"]
        if octahedra is None or most == 1:
            return
        accepted = self.parameters["max_hybrid_halide_force_ev_per_angstrom"]
        xs, forces = [octahedra.x], [octahedra.force(found.forces())]
        while True:
            progress(f"HSE06: x {xs[-1]:.5f}, force on the halide {forces[-1]:+.3f} eV/Angstrom")
            self.properties["force_hse06_on_halide_ev_per_angstrom"] = forces[-1]
            if abs(forces[-1]) < accepted or len(xs) == most:
                break
            xs.append(next_x(xs, forces, octahedra.a))
            octahedra.move(self.atoms, xs[-1])
            energy = self_consistent_energy(self.atoms, self.parameters)
            # Before HSE06 is asked: where it does not converge, the PBE orbitals at this place are what is left.
            self.properties |= {"x_halide": xs[-1], "energy_pbe_ev_per_cell": energy}
            found.move(self.atoms)
            found.converge()
            forces.append(octahedra.force(found.forces()))
        if abs(forces[-1]) >= accepted:
            self.notes.append(f"HSE06 leaves a force of {forces[-1]:+.2f} eV/Angstrom on the halide after {most} steps")


# ------------------------------------------------------------------------------------------------------------ job


def describe_magnetism(calc: Any, atoms: Any, moment: float, n_spins: int) -> tuple[dict[str, Any], list[str]]:
    """Return the moments found, whether they kept their initial directions, and warnings."""
    if n_spins == 1:
        return {"spin_polarised": False, "magnetic_moment_mu_b": 0.0, "magnetic_order_kept": True}, []
    initial, found = atoms.get_initial_magnetic_moments(), calc.get_magnetic_moments()
    carriers = np.abs(initial) > 1e-3
    kept = bool(np.all(np.sign(initial[carriers]) == np.sign(np.round(found[carriers], 2))))
    notes = [] if kept else ["the moments did not keep their initial directions, or vanished"]
    if abs(moment - round(moment)) > MOMENT_TOLERANCE:
        notes.append(f"the total moment of {moment:.2f} Bohr magnetons is not an integer: PBE finds a metal")
    record = {
        "spin_polarised": True,
        "magnetic_moment_mu_b": moment,
        "magnetic_moments_mu_b": np.asarray(found).tolist(),
        "initial_magnetic_moments_mu_b": initial.tolist(),
        "magnetic_order_kept": kept,
    }
    return record, notes


def run(path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute what ``path`` describes; return the content of ``results.json`` and of ``arrays.npz``."""
    atoms, parameters = read_input(path, SETTINGS)
    check_bands(parameters)
    check_engine(hybrid=True)
    setups = read_setups(list(atoms.symbols))
    n_electrons = count_electrons(atoms, setups)
    notes = set_moments(atoms, n_electrons)
    n_spins = 2 if np.any(atoms.get_initial_magnetic_moments()) else 1
    progress(f"structure: {atoms.get_chemical_formula()}, {n_electrons} valence electrons, {n_spins} spin channel(s)")
    watch = Stopwatch()
    with watch.step("pbe"):
        calc = prepare_pbe(atoms, parameters, n_electrons)
        properties = converge_pbe(atoms, parameters)
    n_occupied, moment = count_occupied(calc, n_electrons, n_spins)
    magnetism, more_notes = describe_magnetism(calc, atoms, moment, n_spins)
    hybrid = Hybrid(atoms, parameters)
    with watch.step("hse06"):
        gapless = Bands(eigenvalues(calc), n_occupied, calc.get_ibz_k_points()).raw_gap <= GAPLESS_EV
        hybrid.converge(calc, gapless, n_electrons, max(n_occupied))
    properties |= hybrid.properties
    levels = compute_bands(calc, hybrid.calc, n_occupied, parameters, watch)
    for level, bands in levels.items():
        properties |= bands.properties(level)
    progress("gap (eV): " + ", ".join(f"{level} {bands.raw_gap:.3f}" for level, bands in levels.items()))
    properties["pbe_gapless"] = levels["pbe"].raw_gap <= GAPLESS_EV
    properties |= {
        "vbm_ev": {level: bands.vbm for level, bands in levels.items()},
        **magnetism,
        "settings": parameters,
        "setups": setup_names(setups),
        "versions": versions(),
        "warnings": notes + more_notes + hybrid.notes + judge(properties, parameters),
        **watch.totals(),
    }
    structure = describe_atoms(atoms, magnetism.get("magnetic_moments_mu_b"))
    arrays = {"kpoints": calc.get_bz_k_points()}
    arrays["weights"] = np.full(len(arrays["kpoints"]), 1 / len(arrays["kpoints"]))
    for level, bands in levels.items():
        arrays[f"eigenvalues_{level}_ev"] = bands.eigenvalues_ev - bands.vbm
        arrays[f"n_occupied_{level}"] = np.array(bands.n_occupied)
    return {"status": "ok", "error": None, "structure": structure, "properties": properties}, arrays


def judge(properties: dict[str, Any], parameters: dict[str, Any]) -> list[str]:
    """Return what a reader of the gap should know."""
    notes = []
    if properties["pbe_gapless"] and not properties["hybrid_self_consistent"]:
        notes.append("PBE has no gap: the non-self-consistent hybrid gap starts from a metal and is not to be trusted")
    force = properties["force_on_halide_ev_per_angstrom"]
    if force is None:
        notes.append("not an undistorted double perovskite: the halide was not moved")
    elif abs(force) >= parameters["max_halide_force_ev_per_angstrom"]:
        notes.append(
            f"a force of {force:+.2f} eV/Angstrom is left on the halide after {properties['halide_steps']} steps"
        )
    return notes


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
