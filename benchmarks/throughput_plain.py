"""Processes of AiiDA alone, with which `throughput.py` compares; a file of their own, since daemon workers import it.

``PlainCalculation`` has the inputs, files and outputs of an FHI-aims job, so that both differ in the code of this
package only: links between nodes, files and checkpoints are AiiDA's price for any such job.
"""

from __future__ import annotations

from typing import Any

from aiida.calculations.arithmetic.add import ArithmeticAddCalculation
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.engine import BaseRestartWorkChain, CalcJob, while_
from aiida.orm import Data, Dict, KpointsData, StructureData

STDOUT = "aims.out"


class PlainCalculation(CalcJob):
    """A job like that of FHI-aims, of which nothing is looked at."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the ports."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData)
        spec.input("parameters", valid_type=Dict)
        spec.input("kpoints", valid_type=KpointsData)
        spec.input("settings", valid_type=Dict)
        spec.input_namespace("species", valid_type=Data, dynamic=True)
        spec.inputs["metadata"]["options"]["resources"].default = lambda: {"num_machines": 1}
        spec.inputs["metadata"]["options"]["output_filename"].default = STDOUT
        spec.output("output_parameters", valid_type=Dict)

    def prepare_for_submission(self, folder: Any) -> CalcInfo:
        """Write both files."""
        keywords = [f"{key} {value}" for key, value in self.inputs.parameters.get_dict().items()]
        mesh, _ = self.inputs.kpoints.get_kpoints_mesh()
        species = [node.text for node in self.inputs.species.values()]
        with folder.open("control.in", "w") as handle:
            handle.write("\n".join([*keywords, f"k_grid {mesh}", *species]))
        with folder.open("geometry.in", "w") as handle:
            atoms = self.inputs.structure.get_ase()
            handle.write(f"{atoms.get_chemical_symbols()}\n{atoms.cell.array}\n{atoms.positions}\n")
        code = CodeInfo()
        code.code_uuid, code.stdout_name, code.join_files = self.inputs.code.uuid, STDOUT, True
        info = CalcInfo()
        info.codes_info, info.retrieve_list = [code], [STDOUT]
        return info

    def parse_retrieved_output(self, retrieved_temporary_folder: str | None = None) -> None:
        """Hand out something."""
        content = self.node.outputs.retrieved.base.repository.get_object_content(STDOUT)
        self.out("output_parameters", Dict({"lines": len(content.splitlines())}).store())


class AddBaseWorkChain(BaseRestartWorkChain):
    """Run an addition until it succeeds, as in AiiDA's documentation."""

    _process_class: Any = ArithmeticAddCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline."""
        super().define(spec)
        spec.expose_inputs(cls._process_class, namespace="job")
        spec.expose_outputs(cls._process_class)
        spec.outline(cls.setup, while_(cls.should_run_process)(cls.run_process, cls.inspect_process), cls.results)

    def setup(self) -> None:
        """Prepare the inputs."""
        super().setup()
        self.ctx.inputs = self.exposed_inputs(self._process_class, "job")


class PlainBaseWorkChain(AddBaseWorkChain):
    """Run a plain job until it succeeds."""

    _process_class = PlainCalculation
