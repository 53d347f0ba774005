"""What the steps done with FHI-aims share: settings -> inputs of a job -> one job or several -> results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiida.common import AttributeDict
from aiida.engine import ExitCode
from aiida.orm import ProcessNode, Str, StructureData

from aiida_perovskite.calculations.aims_inputs import prepare_aims
from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily
from aiida_perovskite.workflows.aims.base import AimsBaseWorkChain
from aiida_perovskite.workflows.interfaces import StructureWorkChain, how_it_ended

RUN = "run"  # link label of the only run of a step


class AimsStepWorkChain(StructureWorkChain):
    """A step done with FHI-aims."""

    _step: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the outline."""
        super().define(spec)
        spec.outline(cls.prepare, cls.run_jobs, cls.collect)  # type: ignore[arg-type]

    @classmethod
    def content_digests(cls, inputs: Mapping[str, Any]) -> list[str]:
        """Return what the result depends on beside the inputs: the content of the species files.

        Of all files of the family, as a candidate that is yet to be built asks before there is a structure.
        """
        family = SpeciesFamily.find(inputs["parameters"]["species"])
        return [] if family is None else list(family.checksums.values())

    def prepare(self) -> ExitCode | None:
        """Turn the settings into the inputs of the jobs, and find the species."""
        try:
            self.ctx.species = species_for(self.inputs.structure, self.inputs.parameters["species"])
        except ValueError as error:
            return self.exit_codes.ERROR_ENGINE.format(message=str(error))
        given = {name: self.inputs[name] for name in ("magnetic_moments", "plan") if name in self.inputs}
        found: Any
        found, node = prepare_aims.run_get_node(Str(self._step), self.inputs.structure, self.inputs.parameters, **given)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_ENGINE.format(message=how_it_ended(node))
        self.ctx.prepared = AttributeDict(found)
        return None

    def run_jobs(self) -> None:
        """Submit the jobs."""
        options = {"resources": {"num_machines": 1}, **self.inputs.get("options", {})}
        for label, structure in self.starts().items():
            job = {
                "code": self.inputs.code,
                "structure": structure,
                "species": self.ctx.species,
                **self.ctx.prepared,
                "metadata": {"options": options},
            }
            self.to_context(**{label: self.submit_once(label, AimsBaseWorkChain, aims=job)})

    def collect(self) -> ExitCode | None:
        """Hand out the results, or say why there are none."""
        runs: dict[str, ProcessNode] = {label: self.ctx[label] for label in self.starts()}
        good = {label: node for label, node in runs.items() if node.is_finished_ok}
        if not good:
            return self.exit_codes.ERROR_ENGINE.format(message=how_it_ended(next(iter(runs.values()))))
        return self.finish(good)

    def starts(self) -> dict[str, StructureData]:
        """Return label -> structure of the jobs of this step."""
        return {RUN: self.inputs.structure}

    def finish(self, runs: Mapping[str, Any]) -> ExitCode | None:
        """Hand out what the jobs that succeeded found."""
        raise NotImplementedError


def species_for(structure: StructureData, label: str) -> dict[str, SpeciesDefaultsData]:
    """Return element -> species defaults of a structure from the family ``label``.

    Raises
    ------
    ValueError
        If there is no such family, or it lacks an element; the message says how to install it.
    """
    family = SpeciesFamily.find(label)
    if family is None:
        raise ValueError(
            f"the species defaults {label!r} are not installed: `aiida-perovskite setup species DIR --label {label}` "
            "with the folder of your FHI-aims distribution"
        )
    return family.species_for(structure)
