"""Engine-neutral interfaces of the physical steps: same ports whichever code does the work.

An engine implements a step by subclassing the interface and registering the entry point ``perovskite.<engine>.<step>``;
:func:`workflow_of` finds it by name, so that a candidate mixes engines by changing one input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from aiida.engine import ProcessBuilder, WorkChain
from aiida.orm import AbstractCode, ArrayData, BandsData, Dict, List, ProcessNode, Str, StructureData
from aiida.plugins import WorkflowFactory

from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.sharing import OnceMixin


def how_it_ended(node: ProcessNode) -> str:
    """Return in one sentence why a process did not succeed: its exit message, else what it raised, else its state."""
    state = node.process_state.value if node.process_state else "created"
    raised = (node.exception or "").strip().splitlines()
    return node.exit_message or (raised[-1] if raised else f"process {node.pk} ended as {state}")


def fault_of(check: Callable[[], Any]) -> str | None:
    """Return the sentence of the ValueError that a check raises, as validators of inputs do; None if all is well."""
    try:
        check()
    except ValueError as error:
        return str(error)
    return None


def workflow_of(engine: str, step: str) -> type[WorkChain]:
    """Return the WorkChain by which ``engine`` does ``step`` (``relax``, ``gap``, ``energy``, ...).

    Raises
    ------
    ValueError
        If no installed plugin offers it.
    """
    from aiida.common.exceptions import EntryPointError

    try:
        workflow = WorkflowFactory(f"perovskite.{engine}.{step}")
    except EntryPointError as error:
        raise ValueError(f"no installed engine {engine!r} offers the step {step!r}") from error
    assert isinstance(workflow, type)
    return workflow


class StepWorkChain(OnceMixin):
    """What every step takes and gives, whichever engine does it."""

    _protocol_file: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the ports that all steps share."""
        super().define(spec)
        spec.input("parameters", valid_type=Dict, help="Settings, as `load_protocol` gives them.")
        spec.input("code", valid_type=AbstractCode, help="The program, or the interpreter that has the engine.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )
        spec.output("results", valid_type=Dict, help="Numbers of the step; units in the names.")
        spec.exit_code(400, "ERROR_ENGINE", message="{message}")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        structure: StructureData | None = None,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder with the settings of a protocol; unknown overrides raise ProtocolError."""
        builder = cls.get_builder()
        builder.code = code
        if structure is not None:
            builder.structure = structure
        builder.parameters = Dict(load_protocol(cls._protocol_file, protocol, overrides))
        if options:
            builder.options = dict(options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder


class StructureWorkChain(StepWorkChain):
    """A step that starts from one structure."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the structure, and the moments of its ions."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="Where the step starts from.")
        spec.input(
            "magnetic_moments",
            valid_type=List,
            required=False,
            help="Initial moment of each atom, Bohr magnetons; spin-polarised only if one is not zero.",
        )


class RelaxWorkChain(StructureWorkChain):
    """Interface of a relaxation: structure -> structure."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the relaxed structure to the shared ports."""
        super().define(spec)
        spec.output("structure", valid_type=StructureData, help="The relaxed structure.")


class GapWorkChain(StructureWorkChain):
    """Interface of a hybrid-functional gap: structure -> spin-orbit bands and gaps."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the bands to the shared ports."""
        super().define(spec)
        spec.output("structure", valid_type=StructureData, help="The structure that the bands belong to.")
        spec.output("bands_pbe", valid_type=BandsData, required=False, help="PBE eigenvalues, if they were computed.")
        for level, what in (("hse06", "HSE06 eigenvalues"), ("hse06_soc", "the same with spin-orbit coupling")):
            help_text = f"{what}, on a grid or a path: not where a code gives them along paths only and there is none."
            spec.output(f"bands_{level}", valid_type=BandsData, required=False, help=help_text)


class EnergyWorkChain(StructureWorkChain):
    """Interface of an energy: structure -> ``results`` with the energy, and engine, protocol and functional of it."""


class AbsorptionWorkChain(StructureWorkChain):
    """Interface of an absorption without spin-orbit coupling: structure -> spectrum, transitions at the edge."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add spectrum, transitions and densities to the shared ports."""
        super().define(spec)
        spec.output(
            "spectrum",
            valid_type=ArrayData,
            help="`energy_ev` (n), `absorption_per_cm`, `epsilon_real` and `epsilon_imaginary` (n, 3).",
        )
        spec.output(
            "transitions",
            valid_type=ArrayData,
            required=False,  # a code that gives no matrix elements leaves the allowed gap to be read off the spectrum
            help="`valence_ev` (spins, k, v), `conduction_ev` (spins, k, c), `squared_momentum` (spins, k, v, c).",
        )
        spec.output("densities", valid_type=ArrayData, help="Projected densities of states, per eV and cell.")


class BandsWorkChain(StructureWorkChain):
    """Interface of bands along lines: structure and plan of lines -> eigenvalues with spin-orbit coupling."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add plan and eigenvalues to the shared ports."""
        super().define(spec)
        spec.input("plan", valid_type=Dict, help="`lines`: name -> k-points in fractions.")
        spec.output("lines", valid_type=ArrayData, help="K-points and eigenvalues of every level.")


class PhasesWorkChain(StepWorkChain):
    """Interface of a ranking of structures: formula (and the user's structures) -> lowest structure, energies."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add formula, structures and the lowest structure to the shared ports."""
        super().define(spec)
        spec.input("formula", valid_type=Str, help="Reduced formula of the phase.")
        spec.input("settings", valid_type=Dict, help="`max_structures`, `max_atoms`: which structure types are tried.")
        spec.input_namespace("structures", valid_type=StructureData, required=False, help="The user's own structures.")
        spec.output("structure", valid_type=StructureData, help="The lowest structure.")
