"""FHI-aims as a CalcJob: structure, keywords, k-points, species and what is asked for -> a run and its files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.engine import CalcJob, CalcJobProcessSpec, ExitCode
from aiida.orm import ArrayData, BandsData, Dict, KpointsData, RemoteData, StructureData, TrajectoryData

from aiida_perovskite.data.species import SpeciesDefaultsData

STDOUT = "aims.out"
# Name -> exit status and message. 3xx: nothing to repair, 4xx: a handler may repair it, 5xx: relaxations.
EXIT_CODES = {
    "no_output": (310, "the run left no standard output"),
    "bad_input": (320, "FHI-aims refused its input: {message}"),
    "damaged_output": (330, "a file that was asked for is missing or damaged: {message}"),
    "stack_size": (340, "the limit of the stack is too low: {message}"),
    "scf_not_converged": (410, "the self-consistency cycle did not converge: {message}"),
    "out_of_memory": (420, "out of memory: {message}"),
    "killed": (430, "the run was killed: {message}"),
    "incomplete": (440, "the output ends in the middle: {message}"),
    "coarse_grid": (450, "the bands contradict the gap on the k-point grid: {message}"),
    "geometry_not_converged": (501, "the relaxation was cut short: {message}"),
    "step_limit": (502, "the relaxation reached its limit of steps: {message}"),
    "optimiser_failed": (503, "the optimiser gave up: {message}"),
}
EXIT = SimpleNamespace(**{name: ExitCode(*code) for name, code in EXIT_CODES.items()})


class AimsCalculation(CalcJob):
    """One run of FHI-aims.

    ``parameters`` holds keywords of control.in; those that belong to another input are refused. ``settings`` holds
    what is asked for (`aiida_perovskite.engines.aims.AimsRequest`): relaxation, symmetry, moments, spin-orbit coupling,
    bands, dielectric function, densities of states, restart.
    """

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]
        """Define ports and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="The structure.")
        spec.input("parameters", valid_type=Dict, help="Keywords of control.in and their values.")
        spec.input("kpoints", valid_type=KpointsData, help="The k-point grid, as a mesh.")
        spec.input_namespace(
            "species",
            valid_type=SpeciesDefaultsData,
            dynamic=True,
            help="Element -> species defaults; see `aiida-perovskite setup species`.",
        )
        spec.input("settings", valid_type=Dict, required=False, validator=validate_settings, help="What is asked for.")
        spec.input(
            "parent_folder", valid_type=RemoteData, required=False, help="A run whose density or Hessian is read."
        )
        spec.inputs.validator = validate_inputs
        # Ports that the base class has made; only their defaults are ours.
        options: Any = spec.inputs["metadata"]["options"]  # type: ignore[index]
        options["parser_name"].default = "perovskite.aims"
        options["output_filename"].default = STDOUT
        options["resources"].default = lambda: {"num_machines": 1}
        spec.output("output_parameters", valid_type=Dict, required=False, help="Energies, gaps, status and evidence.")
        spec.output("output_structure", valid_type=StructureData, required=False, help="The last geometry reached.")
        spec.output("output_trajectory", valid_type=TrajectoryData, required=False, help="The steps of a relaxation.")
        spec.output("output_bands", valid_type=BandsData, required=False, help="Bands; with spin-orbit if asked for.")
        spec.output("output_bands_scalar", valid_type=BandsData, required=False, help="Bands without spin-orbit.")
        spec.output("output_absorption", valid_type=ArrayData, required=False, help="Spectrum and dielectric function.")
        spec.output("output_dos", valid_type=ArrayData, required=False, help="Densities of states.")
        spec.default_output_node = "output_parameters"
        for name, (status, message) in EXIT_CODES.items():
            spec.exit_code(status, f"ERROR_{name.upper()}", message=message)

    def prepare_for_submission(self, folder: Any) -> CalcInfo:
        """Write control.in and geometry.in, and list what to copy and to retrieve."""
        request = request_of(self.inputs)
        texts = {name: node.text for name, node in self.inputs.species.items()}
        for name, text in request.files(self.inputs.structure.get_ase(), texts).items():
            with folder.open(name, "w") as handle:
                handle.write(text)
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.stdout_name = self.options.output_filename
        code.join_files = True  # what MPI says of a killed process belongs to the evidence
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = [self.options.output_filename, *request.retrieve]
        if "parent_folder" in self.inputs:
            parent = self.inputs.parent_folder
            info.remote_copy_list = [
                (parent.computer.uuid, f"{parent.get_remote_path()}/{name}", ".") for name in request.restart_files
            ]
        return info


def request_of(inputs: Any) -> Any:
    """Return what the inputs of a job ask FHI-aims for.

    Raises
    ------
    ValueError
        If a keyword or setting is refused.
    """
    from aiida_perovskite.engines.aims import AimsRequest

    settings = inputs["settings"].get_dict() if "settings" in inputs else {}
    mesh, offset = inputs["kpoints"].get_kpoints_mesh()
    if any(offset):
        raise ValueError(f"a k-point grid that is shifted by {offset} cannot be used: FHI-aims centres it at Gamma")
    return AimsRequest.from_dict({**settings, "keywords": inputs["parameters"].get_dict(), "k_grid": mesh})


def validate_settings(value: Dict | None, _: Any) -> str | None:
    """Refuse settings that do not exist."""
    from aiida_perovskite.engines.aims import AimsRequest

    try:
        AimsRequest.from_dict({"k_grid": [1, 1, 1], "keywords": {}, **(value.get_dict() if value is not None else {})})
    except ValueError as error:
        return str(error)
    return None


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Refuse keywords that belong to another input, a grid that is no mesh, and elements without a species file."""
    # A WorkChain that fills some of the ports itself exposes this namespace without them.
    if any(name not in inputs for name in ("structure", "parameters", "kpoints", "species")):
        return None
    try:
        request = request_of(inputs)
        request.files(inputs["structure"].get_ase(), {name: node.text for name, node in inputs["species"].items()})
    except (ValueError, AttributeError) as error:
        return str(error)
    return None
