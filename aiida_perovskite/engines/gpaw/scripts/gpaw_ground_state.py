"""What the GPAW scripts share: the engine and its setups, and the self-consistent PBE ground state."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Any

import numpy as np
from perovskite_job import ScriptError, Stopwatch, progress

REBUILD = (
    "install libxc (Debian: libxc-dev, libopenblas-dev) and rebuild GPAW without pip's cache: "
    "pip install --force-reinstall --no-deps --no-cache-dir gpaw"
)
# Settings that prepare_pbe reads, and `kpoints` (a grid) or `kpoint_density` (points per 1/Angstrom).
GROUND_STATE_SETTINGS = {
    "cutoff_ev": float,
    "cutoff_fluoride_ev": float,
    "smearing_ev": float,
    "empty_bands": int,
    "converged_empty_bands": int,
    "convergence_eigenstates_ev2_per_electron": float,
    "convergence_density": float,
    "max_scf_steps": int,
}


def check_engine(hybrid: bool = False) -> None:
    """Refuse an interpreter without GPAW and, where a hybrid is needed, a GPAW that was built without libxc."""
    try:
        from gpaw.xc import XC
    except ImportError as error:
        raise ScriptError(
            "engine_missing",
            f"{sys.executable} has no GPAW ({error}); install it there with: pip install gpaw gpaw-data",
        ) from error
    try:
        XC("HYB_GGA_XC_HSE06" if hybrid else "PBE")
    except (NameError, AssertionError, AttributeError) as error:
        raise ScriptError("engine_missing", f"this GPAW cannot evaluate HSE06 ({error}); {REBUILD}") from error


def read_setups(symbols: list[str]) -> dict[str, Any]:
    """Return symbol -> PAW setup data."""
    from gpaw.setup_data import SetupData

    setups = {}
    for symbol in sorted(set(symbols)):
        try:
            setups[symbol] = SetupData(symbol, "PBE")
        except (FileNotFoundError, RuntimeError) as error:
            raise ScriptError("bad_input", f"GPAW has no PAW setup for {symbol} ({error})") from error
    return setups


def count_electrons(atoms: Any, setups: dict[str, Any]) -> int:
    """Return the number of valence electrons of the cell."""
    return sum(int(setups[symbol].Nv) for symbol in atoms.symbols)


def setup_names(setups: dict[str, Any]) -> dict[str, str]:
    """Return what identifies the setups in the results."""
    return {symbol: f"PBE {setup.fingerprint}" for symbol, setup in setups.items()}


def set_moments(atoms: Any, n_electrons: int) -> list[str]:
    """Give an odd number of electrons a moment to start from; return what there is to say about it."""
    if n_electrons % 2 == 0 or np.any(atoms.get_initial_magnetic_moments()):
        return []
    singles = [i for i, symbol in enumerate(atoms.symbols) if list(atoms.symbols).count(symbol) == 1] or [0]
    moments = np.zeros(len(atoms))
    moments[singles] = 1.0 / len(singles)
    atoms.set_initial_magnetic_moments(moments)
    return ["odd number of electrons but no initial moments: started from a total of 1 Bohr magneton"]


def prepare_pbe(atoms: Any, parameters: dict[str, Any], n_electrons: int) -> Any:
    """Attach a GPAW calculator with the settings to the atoms and return it."""
    atoms.calc = calculator(atoms, parameters, n_electrons, xc="PBE", txt="gpaw.txt")
    return atoms.calc


def calculator(atoms: Any, parameters: dict[str, Any], n_electrons: int, *, xc: str, txt: str) -> Any:
    """Return a GPAW calculator for the atoms with the settings."""
    from gpaw import GPAW, PW, FermiDirac

    moment = abs(float(atoms.get_initial_magnetic_moments().sum()))
    highest = math.ceil((n_electrons + moment) / 2)  # bands of the majority spin
    symmetry: dict[str, Any] = {}
    if "kpoint_density" in parameters:
        kpoints = {"density": parameters["kpoint_density"], "gamma": True}
        # Glide planes and screw axes too: a third of the k-points of many a competing phase. Only where nothing but the
        # energy is wanted: with matrix elements and hybrid functionals such operations were not tested.
        symmetry = {"symmorphic": False}
    else:
        kpoints = {"size": tuple(parameters["kpoints"]), "gamma": True}
    return GPAW(
        mode=PW(parameters["cutoff_fluoride_ev" if "F" in atoms.symbols else "cutoff_ev"]),
        xc=xc,
        kpts=kpoints,
        nbands=highest + parameters["empty_bands"],
        occupations=FermiDirac(parameters["smearing_ev"]),
        convergence={
            "bands": highest + parameters["converged_empty_bands"],
            "eigenstates": parameters["convergence_eigenstates_ev2_per_electron"],
            "density": parameters["convergence_density"],
        },
        symmetry=symmetry,
        maxiter=parameters["max_scf_steps"],
        txt=txt,
    )


def self_consistent_energy(atoms: Any, parameters: dict[str, Any]) -> float:
    """Return the PBE energy of the cell, eV."""
    from gpaw import KohnShamConvergenceError

    try:
        return float(atoms.get_potential_energy())
    except KohnShamConvergenceError as error:
        raise ScriptError(
            "scf_not_converged",
            f"PBE is not self-consistent after {parameters['max_scf_steps']} steps; raise max_scf_steps or smearing_ev",
        ) from error


def count_occupied(calc: Any, n_electrons: int, n_spins: int) -> tuple[list[int], float]:
    """Return the number of occupied bands of each spin of the insulator, and the total moment found."""
    if n_spins == 1:
        return [n_electrons // 2], 0.0
    moment = float(calc.get_magnetic_moment())
    up = round((n_electrons + moment) / 2)
    return [up, n_electrons - up], moment


class GroundState:
    """The PBE ground state of a structure, and what every script says of it.

    ``calc`` is the calculator, ``energy_ev`` the energy of the cell, ``n_occupied`` the occupied bands of each spin.
    """

    def __init__(self, atoms: Any, parameters: dict[str, Any], watch: Stopwatch, *, hybrid: bool = False) -> None:
        check_engine(hybrid)
        self.parameters = parameters
        self.setups = read_setups(list(atoms.symbols))
        n_electrons = count_electrons(atoms, self.setups)
        self.notes = set_moments(atoms, n_electrons)
        with watch.step("pbe"):
            self.calc = prepare_pbe(atoms, parameters, n_electrons)
            self.energy_ev = self_consistent_energy(atoms, parameters)
        self.n_spins = int(self.calc.get_number_of_spins())
        self.n_occupied, _ = count_occupied(self.calc, n_electrons, self.n_spins)
        progress(
            f"PBE: {self.energy_ev:.4f} eV per cell, {n_electrons} valence electrons, {self.n_spins} spin channel(s)"
        )

    def record(self, watch: Stopwatch) -> dict[str, Any]:
        """Return what influenced the numbers, and what they cost."""
        return {
            "settings": self.parameters,
            "setups": setup_names(self.setups),
            "versions": versions(),
            "warnings": self.notes,
            **watch.totals(),
        }


def versions() -> dict[str, str]:
    """Return the versions of all that had a part in the numbers."""
    from importlib.metadata import PackageNotFoundError, version

    from gpaw import get_libraries

    found = {"libxc": get_libraries()["libxc"], "python": sys.version.split()[0]}
    for name in ("gpaw", "gpaw-data", "ase", "numpy", "scipy"):
        with contextlib.suppress(PackageNotFoundError):  # gpaw-data may come from elsewhere
            found[name.replace("-", "_")] = version(name)
    return found
