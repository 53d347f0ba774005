"""HSE06 made self-consistent with GPAW, for a few times what the non-self-consistent eigenvalues cost.

Exact exchange is what makes a hybrid Hamiltonian dear. Here it is applied to the bands once a step; until the next step
a compressed operator of low rank stands for it, which does the same to these bands and costs next to nothing (Lin, J.
Chem. Theory Comput. 12, 2242, 2016). With it density and bands are brought to self-consistency as fast as in PBE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gpaw_ground_state import calculator
from perovskite_job import progress

HYBRID_SETTINGS = {"max_hybrid_steps": int, "hybrid_tolerance_ev": float}
WATCHED_BELOW = 8  # valence bands, the highest ones, whose energies have to settle, and the lowest conduction band


class HybridNotConvergedError(Exception):
    """The hybrid functional found no self-consistent solution."""


class CompressedExchange:
    """Stands for the exact exchange in the Hamiltonian of a GPAW calculation.

    With W = V phi for bands phi, V is replaced by W (phi* W)^-1 W*, which is V on these bands.
    """

    def __init__(self, hamiltonian: Any) -> None:
        self.hamiltonian = hamiltonian
        self.exact_update = hamiltonian.update_wave_functions
        self.exact_apply = hamiltonian.apply_orbital_dependent
        self.parts: dict[tuple[float, ...], tuple[Any, np.ndarray]] = {}
        hamiltonian.update_wave_functions = self.update
        hamiltonian.apply_orbital_dependent = self.apply

    def compress(self, dft: Any, n_bands: int) -> None:
        """Apply the exact exchange of a calculation's orbitals to its lowest bands."""
        self.exact_update(dft.ibzwfs)
        for wfs in dft.ibzwfs:
            bands = wfs.psit_nX[:n_bands]
            changed = bands.new()
            changed.data[:] = 0.0
            self.exact_apply(dft.ibzwfs, dft.density.D_asii, bands, wfs.spin, changed)
            matrix = changed.integrate(bands)
            self.parts[_place(bands, wfs.spin)] = changed, np.linalg.inv((matrix + matrix.conj().T) / 2)

    def update(self, ibzwfs: Any, forces: bool = False) -> None:
        """Take note of new orbitals: nothing changes until the next compression, and no energy is counted."""
        if forces:
            self.exact_update(ibzwfs, forces=True)
            return
        hamiltonian = self.hamiltonian
        hamiltonian.devc = hamiltonian.devv = hamiltonian.evv = hamiltonian.dekin = 0.0

    def apply(
        self,
        ibzwfs: Any,
        density_matrices: Any,
        bands: Any,
        spin: int,
        out: Any = None,
        calculate_energy: bool = False,
        F_av: Any = None,  # the name by which GPAW gives it
    ) -> None:
        """Add what the exchange makes of bands to ``out``; forces are those of the exact exchange."""
        if F_av is not None:
            self.exact_apply(ibzwfs, density_matrices, bands, spin, out, calculate_energy, F_av)
        elif out is not None:
            changed, inverse = self.parts[_place(bands, spin)]
            out.data += bands.integrate(changed) @ inverse @ changed.data


class SelfConsistentHybrid:
    """A calculator with HSE06 orbitals, ``calc``, and what it takes to make them self-consistent.

    Parameters
    ----------
    pbe
        Converged calculator of the same atoms and k-points, to start from.
    highest
        Occupied bands of the spin that has more of them; ``hybrid_bands_above`` more are converged.
    """

    def __init__(self, atoms: Any, pbe: Any, parameters: dict[str, Any], n_electrons: int, highest: int) -> None:
        self.parameters, self.highest = parameters, highest
        above = parameters["hybrid_bands_above"]
        empty = {"empty_bands": above + 2, "converged_empty_bands": 2}
        self.calc = calculator(atoms, {**parameters, **empty}, n_electrons, xc="HSE06", txt="gpaw_hybrid.txt")
        self.calc.create_new_calculation(atoms)
        self.n_bands = highest + above
        self.exchange = CompressedExchange(self.calc.dft.scf_loop.hamiltonian)
        self.source = pbe.dft  # of whose orbitals the exchange is taken next

    def converge(self) -> None:
        """Bring density and orbitals to self-consistency.

        Raises
        ------
        HybridNotConvergedError
            If they do not settle within ``max_hybrid_steps``.
        """
        from gpaw import KohnShamConvergenceError

        before, most = None, self.parameters["max_hybrid_steps"]
        for step in range(1, most + 1):
            if self.source is not None:
                self.exchange.compress(self.source, self.n_bands)
            try:
                self.calc.dft.converge()
            except KohnShamConvergenceError as error:
                raise HybridNotConvergedError(f"no self-consistent density in step {step}") from error
            self.source = self.calc.dft
            energies = eigenvalues(self.calc)[..., max(self.highest - WATCHED_BELOW, 0) : self.highest + 1]
            energies -= energies.mean()
            change = np.inf if before is None else float(np.abs(energies - before).max())
            progress(f"HSE06, step {step}: bands at the gap moved by {change:.3f} eV")
            if change < self.parameters["hybrid_tolerance_ev"]:
                return
            before = energies
        raise HybridNotConvergedError(f"bands still move by {change:.3f} eV after {most} steps")

    def forces(self) -> np.ndarray:
        """Return the forces on the atoms, eV/Angstrom."""
        return np.asarray(self.calc.dft.calculate_forces())

    def move(self, atoms: Any) -> None:
        """Take the orbitals along to where the atoms are now; until they settle, the exchange is that of before."""
        self.calc.move_atoms(atoms)
        self.source = None


def eigenvalues(calc: Any) -> np.ndarray:
    """Return the eigenvalues at the irreducible k-points, eV, shape (n_spin, n_k, n_bands)."""
    points = range(len(calc.get_ibz_k_points()))
    return np.array([[calc.get_eigenvalues(k, spin) for k in points] for spin in range(calc.get_number_of_spins())])


def _place(bands: Any, spin: int) -> tuple[float, ...]:
    return spin, *np.round(bands.desc.kpt_c, 6)
