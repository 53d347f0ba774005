"""One run: read the input, relax or not, write what is asked for, fail where that is asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator import files, post, sections
from aiida_perovskite.engines.aims.emulator.control import Control, read_control
from aiida_perovskite.engines.aims.emulator.densities import Densities
from aiida_perovskite.engines.aims.emulator.electrons import Edges, Electrons, Family, Grid
from aiida_perovskite.engines.aims.emulator.energy import Model
from aiida_perovskite.engines.aims.emulator.errors import AbortRun, StopNow
from aiida_perovskite.engines.aims.emulator.failures import Failures, tasks
from aiida_perovskite.engines.aims.emulator.geometry import Geometry, read_geometry
from aiida_perovskite.engines.aims.emulator.relaxation import Forces, Relaxation
from aiida_perovskite.engines.aims.emulator.report import RULE, Report

Floats = NDArray[np.float64]

DELAY_VARIABLE = "AIMS_EMULATOR_DELAY"
_FIRST_ITERATIONS = 12
_LATER_ITERATIONS = 8  # after a step the density of the last geometry is near
_RESTARTED_ITERATIONS = 4
_DEFAULT_MIXING = 0.05  # FHI-aims's own; a smaller one is slower
_FIRST_CHANGE = 0.3  # change of the charge density in the first iteration
_STUCK_CHANGE = 2e-2  # and in all of one that does not converge
_KILLED = 137  # what a shell makes of signal 9
_TERMINATED = 143  # and of signal 15


class Run:
    """A run in one folder.

    Parameters
    ----------
    folder
        Where ``control.in`` and ``geometry.in`` are.
    report
        Standard output.
    environment
        Of the process.
    """

    def __init__(self, folder: Path, report: Report, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.report = report
        self.failures = Failures(environment)
        self.tasks = tasks(environment)
        self.delay_s = float(environment.get(DELAY_VARIABLE, "0"))
        self.counts = [0, 0, 0]
        self.stuck = False

    def __call__(self) -> None:
        """Do it.

        Raises
        ------
        AbortRun
            On bad input.
        StopNow
            Where a failure ends the process.
        """
        self.report.opening(self.tasks)
        self.control, self.geometry = self._read()
        self.model = Model.of(self.geometry, self.control)
        self._check()
        density = bool(self.control.restart_words[0].startswith("read") and files.density_files(self.folder))
        self.density_read = density
        self.failures.learn(self.control, density, self.geometry.hessian_file)
        self.coarse_grid = bool(self.control.segments) and self.failures.strikes("coarse_grid")
        self.report.input(self.control, self.geometry, self.model, self.geometry.hessian_file)
        reduced = not self.control.spin_orbit
        self.grid = Grid.of(self.control.k_grid if self.geometry.lattice is not None else (1, 1, 1), reduced)
        self._ionic_steps()

    def _read(self) -> tuple[Control, Geometry]:
        if self.failures.strikes("input"):
            raise AbortRun("Input file control.in not found.")
        texts = {}
        for name in ("control.in", "geometry.in"):
            path = self.folder / name
            if not path.is_file():
                raise AbortRun(f"Input file {name} not found.")
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
            self.report.echo(name, texts[name])
        control, geometry = read_control(texts["control.in"]), read_geometry(texts["geometry.in"])
        if self.failures.strikes("stacksize"):
            self.report.lines("  | Current stacksize for task 0: 8192 KB")
            raise AbortRun("Current stacksize too low. Set it to unlimited.")
        return control, geometry

    def _check(self) -> None:
        periodic = self.geometry.lattice is not None
        if periodic and "k_grid" not in self.control.words:
            raise AbortRun("The structure is periodic, but no k_grid is given in control.in.")
        if not periodic and self.control.words.get("relax_unit_cell", ["none"])[0] != "none":
            raise AbortRun("Keyword 'relax_unit_cell' needs lattice vectors in geometry.in.")
        if not periodic and (self.control.segments or self.control.dielectric):
            raise AbortRun("Bands and dielectric functions need lattice vectors in geometry.in.")
        if self.control.hybrid and self.control.segments and "exx_band_structure_version" not in self.control.words:
            raise AbortRun("Bands of a hybrid functional need the keyword 'exx_band_structure_version' in control.in.")
        if self.geometry.hessian_file and self.control.relax:
            files.check_hessian(self.folder, self.geometry)

    # Ionic steps

    def _ionic_steps(self) -> None:
        relaxation = Relaxation(self.model, self.geometry, self.control.words.get("relax_unit_cell", ["none"])[0])
        if self.control.relax and self.failures.strikes("geometry", "limit"):
            relaxation.trust_radius = relaxation.largest_radius = 1e-4  # so it never arrives
        electrons = self._electrons(relaxation.geometry)
        while True:
            self.counts[1] += 1
            forces = relaxation.forces()
            started = time.monotonic()
            converged = self._self_consistency(electrons, forces.energy_ev)
            if self.control.relax and converged and relaxation.geometry.lattice is not None:
                sections.stress(self.report, forces.virial, abs(float(np.linalg.det(relaxation.geometry.lattice))))
            wanted = self.control.relax or self.control.words.get("compute_forces") == [".true."]
            sections.compact(self.report, forces.energy_ev, forces.energy_ev, forces.atoms if wanted else None)
            if not converged:
                sections.not_converged(self.report)
                break
            if not self.control.relax or self._relaxed(relaxation, forces, sections.seconds_since(started)):
                self._post(electrons)
                break
            if not self._advance(relaxation, forces):
                break
            electrons = self._electrons(relaxation.geometry)
        if converged:
            self.report.final_energies(forces.energy_ev, forces.energy_ev)
        self.report.leaving(self.counts)

    def _electrons(self, geometry: Geometry) -> Electrons:
        default = self.control.words.get("default_initial_moment", ["0"])[0]
        preset = 0.0 if default == "hund" else float(default)
        moments = [preset if moment is None else moment for moment in geometry.moments]
        electrons = Electrons(self.model, geometry.lattice, self.control.collinear, sum(moments))
        electrons.coarse_grid = self.coarse_grid
        return electrons

    def _relaxed(self, relaxation: Relaxation, forces: Forces, seconds: float) -> bool:
        done = forces.largest < self.control.max_force
        sections.relaxation_head(self.report, forces, relaxation.cell != "none", done, seconds)
        if done:
            self.report.lines(RULE)
            sections.structure(self.report, relaxation.geometry, "Final")
        return done

    def _advance(self, relaxation: Relaxation, forces: Forces) -> bool:
        """Move on to the next geometry; return whether the relaxation goes on."""
        made = self.counts[1]
        hessian = relaxation.current_hessian(forces)
        if (reason := self._reason_to_stop(made)) is not None:
            self._write_restart(relaxation, hessian)
            self.report.lines(f"  {reason}", "  Aborting optimization.", "")
            return False
        step = relaxation.step(forces, hessian)
        relaxation.geometry = relaxation.moved(step.move)
        relaxation.adapt(step, relaxation.forces().energy_ev - forces.energy_ev)
        self.counts[2] += 1
        sections.prediction(self.report, made, step)
        sections.structure(self.report, relaxation.geometry, "Updated")
        self._write_restart(relaxation, hessian)
        self.report.lines(
            f'  Writing the current geometry to file "{files.NEXT_STEP}".',
            f"  Writing estimated Hessian matrix to file '{files.HESSIAN}'",
            "",
        )
        if relaxation.geometry.lattice is not None:
            self.report.cell(relaxation.geometry.lattice)
        return True

    def _reason_to_stop(self, made: int) -> str | None:
        limit = int(self.control.number("max_relaxation_steps", 1000))
        if made >= limit or self.failures.strikes("geometry", str(made)):
            return f"Maximum number of relaxation steps reached: {made}."
        if self.failures.strikes("optimizer", str(made)):
            return "The optimizer finds no direction that lowers the energy."
        if (self.folder / "abort_opt").exists():
            return "File abort_opt found."
        return None

    def _write_restart(self, relaxation: Relaxation, hessian: Floats) -> None:
        # The Hessian first: a geometry file that announces one must find it.
        files.write_hessian(self.folder, relaxation, hessian)
        files.write_next_step(self.folder, relaxation.geometry, self.report.uuid, relaxation.trust_radius)

    # Self-consistency

    def _self_consistency(self, electrons: Electrons, energy: float) -> bool:
        """Write one self-consistency cycle; return whether it converged."""
        number = self.counts[1]
        report, grid = self.report, self.grid
        periodic = self.geometry.lattice is not None
        sections.scf_start(report, number == 1, len(grid.points) if periodic else None)
        if number == 1 and self.density_read:
            sections.read_density(report)
        limit = int(self.control.number("sc_iter_limit", 1000))
        needed = self._iterations()
        fate = self._fate(str(number))
        stuck = fate is None and self.failures.strikes("scf", str(number))
        edges = electrons.edges(grid, "scalar")
        mu = electrons.chemical_potential(grid, "scalar")
        accuracy = self.control.number("sc_accuracy_rho", 1e-6)
        for iteration in range(1, limit + 1):
            started = time.monotonic()
            self.counts[0] += 1
            sections.scf_iteration(report, iteration)
            time.sleep(self.delay_s)
            if iteration == min(3, needed):
                self._end(fate)
            change = self._change(iteration, needed, accuracy, stuck)
            sections.potential(report, mu)
            sections.gap_block(report, electrons, grid, edges, "scalar")
            sections.components(report, energy + 5.0 * change, len(self.geometry.species))
            sections.convergence(report, change, -20.0 * change, 5.0 * change)
            converged = not stuck and iteration >= needed
            stopped = (self.folder / "abort_scf").exists()
            if converged:
                self._end_of_cycle(electrons, edges, mu)
            sections.end_iteration(report, iteration, sections.seconds_since(started))
            if converged:
                return True
            if stopped:
                report.lines("  File abort_scf found: the self-consistency cycle stops here.")
                return False
        return False

    def _end_of_cycle(self, electrons: Electrons, edges: Edges, mu: float) -> None:
        report = self.report
        sections.eigenvalues(report, electrons, electrons.bands(np.zeros((1, 3)))[:, 0], mu)
        if electrons.spins == 2:
            sections.moment(report, float(electrons.moment))
        sections.gap_block(report, electrons, self.grid, edges, "scalar")
        if report.new:
            report.lines(f"  | Chemical Potential                          :{mu:15.8f} eV", "")
        report.lines("  Self-consistency cycle converged.", "")
        if self.control.restart_words[0] in ("write", "read_and_write"):
            files.write_density(self.folder, electrons.spins, len(self.grid.points))
            report.lines("  Finished writing density matrices to file", f"  | Time : {0.001:10.3f} s", "")

    def _iterations(self) -> int:
        if self.counts[1] > 1:
            needed = _LATER_ITERATIONS
        else:
            needed = _RESTARTED_ITERATIONS if self.density_read else _FIRST_ITERATIONS
        mixing = self.control.number("charge_mix_param", _DEFAULT_MIXING)
        return math.ceil(needed * max(1.0, _DEFAULT_MIXING / mixing) ** 0.5)

    def _change(self, iteration: int, needed: int, accuracy: float, stuck: bool) -> float:
        if stuck:
            return _STUCK_CHANGE * (1.0 + 0.3 * math.sin(2.1 * iteration))
        part = (iteration - 1) / max(needed - 1, 1)
        return float(_FIRST_CHANGE ** (1.0 - part) * (0.5 * accuracy) ** part)

    def _fate(self, place: str) -> str | None:
        """Return the failure that ends the process at a place."""
        return next((name for name in ("walltime", "killed", "oom") if self.failures.strikes(name, place)), None)

    def _end(self, fate: str | None) -> None:
        """End the process if that is its fate."""
        report = self.report
        if fate is None:
            return
        if fate == "walltime":
            report.flush()
            raise StopNow(_TERMINATED)
        rule = "=" * 83
        if fate == "oom":
            report.lines("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0 (aims-emulator on demand).")
        report.lines(
            "",
            rule,
            "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES",
            "=   RANK 0 PID 1 RUNNING AT aims-emulator",
            "=   KILLED BY SIGNAL: 9 (Killed)",
            rule,
        )
        report.flush()
        raise StopNow(_KILLED)

    # Afterwards

    def _post(self, electrons: Electrons) -> None:
        control, report, grid = self.control, self.report, self.grid
        family: Family = "spin_orbit" if control.spin_orbit else "scalar"
        asked = Densities(self.folder, report, control.outputs, self.geometry.species)
        if control.spin_orbit:
            asked.write(electrons, grid, "scalar", ".no_soc")
            self._end(self._fate("soc"))
            post.spin_orbit(report, electrons, grid)
        asked.write(electrons, grid, family, "")
        if control.dielectric is not None:
            self._end(self._fate("dielectric"))
            post.dielectric(self.folder, report, control, electrons, grid, family)
        if control.segments:
            post.bands(self.folder, report, control, electrons, grid, lambda: self._end(self._fate("bands")))
