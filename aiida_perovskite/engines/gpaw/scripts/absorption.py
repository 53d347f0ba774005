"""Absorption in the independent-particle approximation: ``python absorption.py input.json``.

PBE ground state -> eigenvalues and momentum matrix elements on a denser grid -> dielectric function and absorption
coefficient of each Cartesian direction, and projected densities of states, in ``arrays.npz``. With ``local_fields`` the
dielectric function is that of the random-phase approximation with local-field effects (``gpaw.response``). Spin-orbit
coupling is not in it: whoever uses the spectrum shifts it to a gap that has it. ``results.json`` is written whatever
happens.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from gpaw_ground_state import GROUND_STATE_SETTINGS, GroundState
from perovskite_job import Outcome, ScriptError, Stopwatch, describe_atoms, progress, read_input, run_job

SETTINGS = {
    **GROUND_STATE_SETTINGS,
    "kpoints": list,
    "kpoints_optical": list,
    "optical_empty_bands": int,
    "convergence_optical_ev2_per_electron": float,
    "broadening_ev": float,
    "max_energy_ev": float,
    "energy_step_ev": float,
    "local_fields": bool,
    "local_field_cutoff_ev": float,
    "dos_width_ev": float,
    "dos_range_ev": float,
    "dos_step_ev": float,
}
HARTREE_EV, BOHR_ANGSTROM = 27.211386245988, 0.529177210903  # CODATA 2018
HBAR_C_EV_CM = 1.973269804e-5  # CODATA 2018
BIN_EV = 0.002  # transitions are collected in bins far narrower than any broadening
EDGE_BANDS = 8  # of the valence and of the conduction band whose transitions are kept for the onset
ANGULAR = "spdf"


def momentum_matrix(calc: Any, spin: int, n_bands: int) -> np.ndarray:
    """Return the momentum matrix elements (n_k, 3, n, m) at the irreducible k-points, atomic units."""
    import contextlib
    import io

    from gpaw.nlopt.adapters import CollinearGSInfo
    from gpaw.nlopt.matrixel import get_mml

    with contextlib.redirect_stdout(io.StringIO()):
        return np.asarray(get_mml(CollinearGSInfo(calc), slice(0, n_bands), spin))


def rotations(calc: Any) -> np.ndarray:
    """Return the point operations of the crystal as Cartesian matrices (n, 3, 3)."""
    cell = calc.atoms.cell.array
    operations = np.asarray(calc.dft.ibzwfs.ibz.symmetries.rotation_scc)
    return np.einsum("ij,sjk,kl->sil", np.linalg.inv(cell), operations, cell)


class Transitions:
    """Vertical transitions of one spin channel at the irreducible k-points.

    ``valence_ev`` (n_k, n_v) and ``conduction_ev`` (n_k, n_c) from the band edges outwards, ``momenta`` (n_k, 3, n_v,
    n_c) in atomic units, ``weights`` (n_k,) with sum 1.
    """

    def __init__(self, calc: Any, spin: int, n_occupied: int, n_bands: int) -> None:
        eigenvalues = np.array([calc.get_eigenvalues(kpt=k, spin=spin) for k in range(len(calc.get_ibz_k_points()))])
        matrix = momentum_matrix(calc, spin, n_bands)
        self.valence_ev = eigenvalues[:, :n_occupied]
        self.conduction_ev = eigenvalues[:, n_occupied:n_bands]
        self.momenta = matrix[:, :, :n_occupied, n_occupied:n_bands]
        self.weights = np.asarray(calc.get_k_point_weights())

    @property
    def energies_ev(self) -> np.ndarray:
        """Energy of each transition, (n_k, n_v, n_c)."""
        return self.conduction_ev[:, None, :] - self.valence_ev[:, :, None]


def oscillator_strengths(transitions: list[Transitions], volume: float, operations: np.ndarray) -> np.ndarray:
    """Return the bins of 8 pi^2 / V sum w p_a p_b / E^2 (3, 3, n_bins), symmetrised; eV.

    Im eps_ab(E) is this sum with every transition broadened (Gajdos et al., Phys. Rev. B 73, 045112 (2006), in the
    velocity form), spin-degenerate channels counted twice.
    """
    highest = max(float(part.energies_ev.max()) for part in transitions)
    bins = np.zeros((3, 3, int(highest / BIN_EV) + 2))
    spin_factor = 2 / len(transitions)
    for part in transitions:
        energies = part.energies_ev
        products = np.einsum("kavc,kbvc->abkvc", part.momenta.conj(), part.momenta).real
        strengths = spin_factor * 4 * np.pi**2 / volume * part.weights[:, None, None] * products
        strengths = strengths / (energies / HARTREE_EV) ** 2 * HARTREE_EV
        index = (energies / BIN_EV + 0.5).astype(int).ravel()
        for a in range(3):
            for b in range(3):
                bins[a, b] += np.bincount(index, strengths[a, b].ravel(), minlength=bins.shape[2])
    return np.einsum("sai,sbj,ijn->abn", operations, operations, bins) / len(operations)


def dielectric_function(strengths: np.ndarray, energies: np.ndarray, broadening: float) -> np.ndarray:
    """Return eps (n_energies,) complex from the binned strengths of one direction, Gaussian-broadened.

    The real part is the Hilbert transform of the same Gaussians (Dawson's integral), so that Kramers-Kronig holds
    exactly for the bands at hand.
    """
    from scipy.special import dawsn

    filled = np.flatnonzero(strengths)
    centres, values = filled * BIN_EV, strengths[filled]
    eps = np.ones(len(energies), complex)
    for sign in (1, -1):
        scaled = (energies[:, None] - sign * centres) / (np.sqrt(2) * broadening)
        eps += sign * 1j * (np.exp(-(scaled**2)) @ values) / (np.sqrt(2 * np.pi) * broadening)
        eps -= sign * (dawsn(scaled) @ values) * np.sqrt(2) / (np.pi * broadening)
    return eps


def local_field_dielectric_function(calc: Any, parameters: dict[str, Any], energies: np.ndarray) -> np.ndarray:
    """Return eps (3, n_energies) with local-field effects, Lorentz-broadened by the half width ``broadening_ev``."""
    from gpaw.response.df import DielectricFunction

    calc.write("dense.gpw", mode="all")
    response = DielectricFunction(
        "dense.gpw",
        frequencies=energies,
        eta=parameters["broadening_ev"],
        ecut=parameters["local_field_cutoff_ev"],
        hilbert=False,  # the frequencies are evenly spaced
        intraband=False,
        txt="response.txt",
    )
    directions = [response.get_dielectric_function(direction=axis, filename=None)[1] for axis in "xyz"]
    return np.array(directions)


def absorption_coefficient(energies: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """Return alpha = 2 E kappa / (hbar c) in 1/cm, with n + i kappa the square root of eps; never negative."""
    kappa = np.sqrt(eps.astype(complex)).imag
    return 2 * energies / HBAR_C_EV_CM * np.maximum(kappa, 0.0)


def next_to_the_gap(transitions: list[Transitions]) -> dict[str, np.ndarray]:
    """Return the bands next to the gap and the mean squared momenta between them, (n_spin, n_k, ...)."""
    n_v = min([EDGE_BANDS, *(part.valence_ev.shape[1] for part in transitions)])
    n_c = min([EDGE_BANDS, *(part.conduction_ev.shape[1] for part in transitions)])
    return {
        "valence_ev": np.array([part.valence_ev[:, -n_v:] for part in transitions]),
        "conduction_ev": np.array([part.conduction_ev[:, :n_c] for part in transitions]),
        "squared_momentum": np.array(
            [(np.abs(part.momenta[:, :, -n_v:, :n_c]) ** 2).mean(axis=1) for part in transitions]
        ),
    }


def projected_densities(
    calc: Any, parameters: dict[str, Any], n_occupied: list[int]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return energies (eV above the valence band maximum of the grid) and states per eV and cell by element and l."""
    from gpaw.dos import DOSCalculator

    dos = DOSCalculator.from_calculator(calc, shift_fermi_level=False)
    edge = max(float(dos.eig_skn[s][:, n - 1].max()) for s, n in enumerate(n_occupied) if n > 0)
    half, step = parameters["dos_range_ev"], parameters["dos_step_ev"]
    energies = np.arange(-round(half / step), round(half / step) + 1) * step
    densities: dict[str, np.ndarray] = {"total": dos.raw_dos(edge + energies, width=parameters["dos_width_ev"])}
    for index, symbol in enumerate(calc.atoms.get_chemical_symbols()):
        for l in sorted({int(value) for value in calc.setups[index].l_j if 0 <= value < len(ANGULAR)}):  # noqa: E741
            name = f"{symbol}_{ANGULAR[l]}"
            part = dos.raw_pdos(edge + energies, a=index, l=l, width=parameters["dos_width_ev"])
            densities[name] = densities.get(name, 0.0) + part
    return energies, {name: np.asarray(values) for name, values in densities.items()}


def optical_grid(calc: Any, n_bands: int, parameters: dict[str, Any]) -> Any:
    """Return a calculator with ``n_bands`` bands on the grid on which transitions are summed."""
    return calc.fixed_density(
        kpts={"size": tuple(parameters["kpoints_optical"]), "gamma": True},
        nbands=n_bands + 4,  # the last ones converge slowly and are left out
        convergence={"bands": n_bands, "eigenstates": parameters["convergence_optical_ev2_per_electron"]},
        txt="optical.txt",
    )


def fundamental_gap(transitions: list[Transitions]) -> float:
    """Return the PBE gap on the optical grid, eV; there is no absorption of an insulator without one."""
    top = max(float(part.valence_ev.max()) for part in transitions)
    gap = min(float(part.conduction_ev.min()) for part in transitions) - top
    if gap <= 0:
        raise ScriptError(
            "no_gap", f"PBE has no gap ({gap:.3f} eV): the absorption of an overlap is not that of the insulator"
        )
    return gap


def run(path: str) -> Outcome:
    """Compute the absorption of what ``path`` describes."""
    atoms, parameters = read_input(path, SETTINGS)
    watch = Stopwatch()
    ground = GroundState(atoms, parameters, watch)
    n_bands = max(ground.n_occupied) + parameters["optical_empty_bands"]
    with watch.step("optical_grid"):
        dense = optical_grid(ground.calc, n_bands, parameters)
    progress(f"{n_bands} bands at {len(dense.get_ibz_k_points())} irreducible k-points of the optical grid")
    with watch.step("matrix_elements"):
        transitions = [Transitions(dense, spin, n, n_bands) for spin, n in enumerate(ground.n_occupied)]
    gap = fundamental_gap(transitions)
    with watch.step("spectrum"):
        n_points = round(parameters["max_energy_ev"] / parameters["energy_step_ev"]) + 1
        energies = np.arange(n_points) * parameters["energy_step_ev"]
        strengths = oscillator_strengths(transitions, atoms.get_volume() / BOHR_ANGSTROM**3, rotations(dense))
        eps = np.array([dielectric_function(strengths[a, a], energies, parameters["broadening_ev"]) for a in range(3)])
    with watch.step("densities"):
        dos_energies, densities = projected_densities(dense, parameters, ground.n_occupied)
    if parameters["local_fields"]:
        with watch.step("local_fields"):
            eps = local_field_dielectric_function(dense, parameters, energies)
    static = eps[:, 0].real
    lowest = min(float(part.energies_ev.min()) for part in transitions)
    progress(f"lowest direct transition {lowest:.3f} eV, static dielectric constant {static.mean():.2f}")
    properties = {
        "lowest_direct_transition_ev": lowest,
        "gap_on_optical_grid_ev": gap,
        "static_dielectric_constant": float(static.mean()),
        "static_dielectric_constants": static.tolist(),
        "energy_pbe_ev_per_cell": ground.energy_ev,
        "functional": "PBE",
        "approximation": "RPA with local fields" if parameters["local_fields"] else "independent particles",
        "broadening": "Lorentzian half width" if parameters["local_fields"] else "Gaussian standard deviation",
        "broadening_ev": parameters["broadening_ev"],
        "densities": sorted(densities),
        "n_irreducible_kpoints": len(dense.get_ibz_k_points()),
        **ground.record(watch),
    }
    arrays = {
        "energy_ev": energies,
        "epsilon_real": eps.real,
        "epsilon_imaginary": eps.imag,
        "absorption_per_cm": absorption_coefficient(energies, eps),
        "kpoints": np.asarray(dense.get_ibz_k_points()),
        "weights": np.asarray(dense.get_k_point_weights()),
        **next_to_the_gap(transitions),
        "dos_energy_ev": dos_energies,
        **{f"dos_{name}": values for name, values in densities.items()},
    }
    return {"status": "ok", "error": None, "structure": describe_atoms(atoms), "properties": properties}, arrays


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
