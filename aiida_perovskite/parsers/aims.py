"""FHI-aims files -> nodes and exit codes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode
from aiida.orm import ArrayData, BandsData, Dict, StructureData, TrajectoryData
from aiida.parsers.parser import Parser

if TYPE_CHECKING:
    from aiida_perovskite.engines.aims import AimsBands, AimsOutput, AimsRequest

SCHEDULER_CODES = (110, 120)  # AiiDA's: out of memory, out of walltime; none of ours replaces them
STACK = "stack"  # in the evidence of a run that ended at its input: a limit of the machine, not an error of the input
OPTIMISER = "Aborting optimization"
# Fields of the output that are nodes of their own, or nothing that a query would ask for.
LEFT_OUT = ("steps", "structure", "requested", "status")


class AimsParser(Parser):
    """Parse what a run left, however it ended; the exit code says how."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the retrieved files into output nodes or an exit code whose message says what happened.

        What the scheduler says of memory and walltime is known to it alone: its exit code is kept, with the outputs.
        """
        from aiida_perovskite.engines import EngineError
        from aiida_perovskite.engines.aims import AimsRequest, read_output

        name = self.node.get_option("output_filename")
        if name not in self.retrieved.base.repository.list_object_names():
            return self._ended(self.exit_codes.ERROR_NO_OUTPUT)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(self.retrieved.base.repository.as_path()))
            output = read_output(folder / name)
            settings = self.node.inputs.settings.get_dict() if "settings" in self.node.inputs else {}
            request = AimsRequest.from_dict({"keywords": {}, "k_grid": [1, 1, 1], **settings})
            self.out("output_parameters", Dict(record_of(output)))
            self._geometry(output, folder, relaxed=request.relaxation is not None)
            damage = None
            try:
                contradiction = self._files(folder, request, output)
            except EngineError as error:
                damage, contradiction = str(error), ""
        if not output.finished:
            return self._ended(self._exit_code(output))
        if damage is not None:
            return self._ended(self.exit_codes.ERROR_DAMAGED_OUTPUT.format(message=damage))
        if contradiction:
            return self._ended(self.exit_codes.ERROR_COARSE_GRID.format(message=contradiction))
        return None

    def _ended(self, code: ExitCode) -> ExitCode | None:
        """Return an exit code, or None where the scheduler's stands."""
        return None if self.node.exit_status in SCHEDULER_CODES else code

    def _exit_code(self, output: AimsOutput) -> ExitCode:
        from aiida_perovskite.engines.aims import AimsStatus

        status = output.status
        name = {
            AimsStatus.CRASHED_AT_INPUT: "stack_size" if STACK in output.evidence.lower() else "bad_input",
            AimsStatus.GEOMETRY_NOT_CONVERGED: (
                "optimiser_failed" if OPTIMISER in output.evidence else "geometry_not_converged"
            ),
        }.get(status, status.value)
        code: ExitCode = self.exit_codes[f"ERROR_{name.upper()}"].format(message=output.evidence)
        return code

    def _geometry(self, output: AimsOutput, folder: Path, *, relaxed: bool) -> None:
        """Hand out the last geometry and, of a relaxation, its steps."""
        from aiida_perovskite.engines import EngineError
        from aiida_perovskite.engines.aims import read_geometry

        if not relaxed:
            return
        atoms = atoms_of(output)
        next_step = folder / "geometry.in.next_step"
        if next_step.is_file():
            try:
                atoms = read_geometry(next_step).atoms
            except EngineError:  # cut while it was written: what was printed is as good
                self.logger.warning("geometry.in.next_step is damaged; the last printed geometry is taken")
        given = self.node.inputs.structure.get_ase().get_chemical_symbols()
        if atoms is not None and atoms.get_chemical_symbols() == given:
            self.out("output_structure", StructureData(ase=atoms))
        trajectory = trajectory_of(output)
        if trajectory is not None:
            self.out("output_trajectory", trajectory)

    def _files(self, folder: Path, request: AimsRequest, output: AimsOutput) -> str:
        """Hand out what else was asked for; return how bands and grid contradict each other, if they do.

        Raises
        ------
        EngineError
            If a file is missing or damaged.
        """
        from aiida_perovskite.engines.aims import read_bands

        contradiction = ""
        if request.bands:
            bands = read_bands(folder, soc=request.spin_orbit, output=output)
            structure = self.node.inputs.structure
            self.out("output_bands", bands_node(bands, structure))
            if request.spin_orbit:
                self.out("output_bands_scalar", bands_node(read_bands(folder, output=output), structure))
            contradiction = compare_gaps(bands, output, request.max_path_below_grid_ev)
        if request.dielectric:
            self.out("output_absorption", spectrum_node(folder))
        if request.dos:
            self.out("output_dos", densities_node(folder, output))
        return contradiction


def record_of(output: AimsOutput) -> dict[str, Any]:
    """Return what of an output goes into a Dict: numbers, status, evidence and warnings."""
    from dataclasses import fields

    record = {field.name: getattr(output, field.name) for field in fields(output) if field.name not in LEFT_OUT}
    last = output.steps[-1] if output.steps else None
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in record.items()},
        "status": output.status.value,
        "finished": output.finished,
        "n_steps": len(output.steps),
        "n_scf_iterations": output.n_scf_iterations,
        "max_force_ev_per_angstrom": last.max_force_ev_per_angstrom if last is not None else None,
        "xc": output.requested.xc,
    }


def atoms_of(output: AimsOutput) -> Any:
    """Return the last structure printed as ase.Atoms, None where none is periodic and whole."""
    from ase import Atoms

    last = output.structure
    if last is None or last.cell is None or not len(last.positions):
        return None
    return Atoms(last.symbols, positions=last.positions, cell=last.cell, pbc=True)


def trajectory_of(output: AimsOutput) -> TrajectoryData | None:
    """Return the steps of a relaxation that are printed whole."""
    import numpy as np

    steps = [step for step in output.steps if step.cell is not None and len(step.positions)]
    steps = [step for step in steps if step.symbols == steps[0].symbols]
    if not steps:
        return None
    trajectory = TrajectoryData()
    trajectory.set_trajectory(
        stepids=np.arange(1, len(steps) + 1),
        cells=np.array([step.cell for step in steps]),
        symbols=list(steps[0].symbols),
        positions=np.array([step.positions for step in steps]),
    )
    nan = float("nan")
    energies = [step.energy_ev if step.energy_ev is not None and step.scf_converged else nan for step in steps]
    forces = [step.max_force_ev_per_angstrom for step in steps]
    trajectory.set_array("energies", np.array(energies))
    trajectory.set_array("max_forces", np.array([nan if force is None else force for force in forces]))
    return trajectory


def bands_node(bands: AimsBands, structure: StructureData) -> BandsData:
    """Return bands on the axis of the standard output, with occupations, in eV."""
    node = BandsData()
    node.set_cell(structure.cell)
    node.set_kpoints(bands.kpoints)
    values, occupations = bands.eigenvalues_ev, bands.occupations
    if len(values) == 1:
        values, occupations = values[0], occupations[0]
    node.set_bands(values, units="eV", occupations=occupations)
    return node


def compare_gaps(bands: AimsBands, output: AimsOutput, tolerance_ev: float) -> str:
    """Return in words how the gap along the path contradicts that on the grid; empty if it does not."""
    grid = output.soc_gap_ev if bands.soc else output.gap_ev
    if grid is None or bands.gap_ev >= grid - tolerance_ev:
        return ""
    return f"{bands.gap_ev:.3f} eV along the path, {grid:.3f} eV on the grid"


def spectrum_node(folder: Path) -> ArrayData:
    """Return absorption and dielectric function along x, y and z."""
    from aiida_perovskite.engines.aims import read_absorption, read_dielectric

    node = ArrayData()
    energies, absorption = read_absorption(folder)
    _, epsilon = read_dielectric(folder)
    node.set_array("energy_ev", energies)
    node.set_array("absorption_per_cm", absorption)
    node.set_array("epsilon_real", epsilon.real.copy())
    node.set_array("epsilon_imaginary", epsilon.imag.copy())
    return node


def densities_node(folder: Path, output: AimsOutput) -> ArrayData:
    """Return the densities of states, total and of each element; energies from the valence band maximum."""
    from aiida_perovskite.engines.aims import read_densities

    node = ArrayData()
    energies, densities = read_densities(folder, output.vbm_ev if output.vbm_ev is not None else 0.0)
    node.set_array("energy_ev", energies)
    for name, values in densities.items():
        node.set_array(f"dos_{name}", values)
    return node
