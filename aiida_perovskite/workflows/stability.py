"""Decomposition enthalpy of a compound: which phases compete, their structures and energies, the difference."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, while_
from aiida.orm import Dict, List, Str, StructureData

from aiida_perovskite.calculations.stability import (
    assess_stability,
    choose_phases,
    phase_moments,
    propose_phases,
)
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.interfaces import how_it_ended
from aiida_perovskite.workflows.ports import define_step, step_inputs
from aiida_perovskite.workflows.sharing import OnceMixin, failed_by_chance

COMPOUND = "compound"


class StabilityWorkChain(OnceMixin):
    """Compute the decomposition enthalpy by the binary reaction and against every phase that competes.

    Where jobs wait in the queue of a scheduler, all phases are relaxed at the same time, and then all energies are
    computed; elsewhere one after the other. A phase that another compound has had computed with the same settings is
    taken from there. One that fails is listed as missing, with the reason.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input("formula", valid_type=Str, help="The compound, as `Composition.formula` spells it.")
        spec.input("structure", valid_type=StructureData, help="Its structure.")
        spec.input("magnetic_moments", valid_type=List, required=False, help="Initial moments of its atoms.")
        spec.input("settings", valid_type=Dict, help="Which phases compete (protocol `stability`).")
        spec.input("known", valid_type=CompositionTableData, required=False, help="Table of phases that exist.")
        spec.input_namespace(
            "structures", valid_type=StructureData, required=False, help="The user's own structures of phases."
        )
        define_step(spec, "phases", required=True)
        define_step(spec, "energy", required=True)
        spec.outline(
            cls.propose,
            # aiida types the steps of an outline as functions of any WorkChain
            while_(cls.has_phase)(cls.relax_phases, cls.keep_phases),  # type: ignore[arg-type]
            cls.choose,
            while_(cls.has_energy)(cls.compute_energies, cls.keep_energies),  # type: ignore[arg-type]
            cls.assess,
        )
        spec.output("stability", valid_type=Dict, help="Enthalpies, reactions, phases, and those that were missing.")
        spec.exit_code(400, "ERROR_NO_ENERGY", message="the compound has no energy: {message}")
        spec.exit_code(401, "ERROR_NO_ENTHALPY", message="no decomposition enthalpy: {message}")

    def propose(self) -> None:
        """List the phases that compete."""
        own = self._own_structures()
        given: dict[str, Any] = {"structures": Dict({name: len(nodes) for name, nodes in own.items()})} if own else {}
        if "known" in self.inputs:
            given["known"] = self.inputs.known
        self.ctx.proposal = propose_phases(self.inputs.formula, self.inputs.settings, **given)
        self.ctx.phases = [phase["formula"] for phase in self.ctx.proposal["phases"]]
        self.ctx.failures = {}
        self.ctx.position = 0
        self.report(f"competing phases: {', '.join(self.ctx.phases)}")

    def has_phase(self) -> bool:
        """Tell whether a phase is left to be relaxed."""
        return self.ctx.position < len(self.ctx.phases)

    def relax_phases(self) -> None:
        """Relax the structures of the next phases."""
        workflow, inputs = step_inputs("phases", self.inputs.phases)
        chosen, own = self.inputs.settings.get_dict(), self._own_structures()
        settings = Dict({"max_structures": chosen["max_structures"], "max_atoms": chosen.get("max_atoms")})
        for name in self._next("phases", self.ctx.phases):
            given = {**inputs, "structures": own[name]} if name in own else inputs
            node = self.submit_shared(f"phase_{name}", workflow, formula=Str(name), settings=settings, **given)
            self.to_context(**{f"phase_{name}": node})

    def keep_phases(self) -> None:
        """Note which phases have no structure, and why."""
        self._note_failures("phase", self._next("phases", self.ctx.phases), "no structure")

    def choose(self) -> None:
        """Choose the phases that the engine computes."""
        names = [name for name in self.ctx.phases if name not in self.ctx.failures]
        relaxed = {f"phase_{name}": self.ctx[f"phase_{name}"].outputs.results for name in names}
        self.ctx.choice = choose_phases(self.inputs.formula, self.ctx.proposal, self.inputs.settings, **relaxed)
        self.ctx.wanted = [COMPOUND, *self.ctx.choice["chosen"]]
        self.ctx.position = 0

    def has_energy(self) -> bool:
        """Tell whether an energy is left to be computed."""
        return self.ctx.position < len(self.ctx.wanted)

    def compute_energies(self) -> None:
        """Compute the next energies."""
        workflow, inputs = step_inputs("energy", self.inputs.energy)
        for name in self._next("energy", self.ctx.wanted):
            given = dict(inputs)
            if name == COMPOUND:
                structure = self.inputs.structure
                if "magnetic_moments" in self.inputs:
                    given["magnetic_moments"] = self.inputs.magnetic_moments
            else:
                structure = self.ctx[f"phase_{name}"].outputs.structure
                given["magnetic_moments"] = phase_moments(structure)
            node = self.submit_shared(f"energy_{name}", workflow, structure=structure, **given)
            self.to_context(**{f"energy_{name}": node})

    def keep_energies(self) -> None:
        """Note of which phases there is no energy, and why."""
        self._note_failures("energy", self._next("energy", self.ctx.wanted), "no energy")

    def assess(self) -> ExitCode | None:
        """Compute the enthalpies."""
        if COMPOUND in self.ctx.failures:
            return self.exit_codes.ERROR_NO_ENERGY.format(message=self.ctx.failures[COMPOUND])
        known = {"known": self.inputs.known} if "known" in self.inputs else {}
        computed = [name for name in self.ctx.choice["chosen"] if name not in self.ctx.failures]
        phases = {f"energy_{name}": self.ctx[f"energy_{name}"].outputs.results for name in computed}
        phases |= {f"relaxed_{name}": self.ctx[f"phase_{name}"].outputs.results for name in computed}
        try:
            result = assess_stability(
                self.inputs.formula,
                self.ctx[f"energy_{COMPOUND}"].outputs.results,
                self.ctx.proposal,
                self.ctx.choice,
                Dict(self.ctx.failures),
                **known,
                **phases,
            )
        except ValueError as error:  # energies that must not be compared
            return self.exit_codes.ERROR_NO_ENTHALPY.format(message=str(error))
        self.out("stability", result)
        return None

    def _next(self, step: str, names: list[str]) -> list[str]:
        """Return those whose turn it is: all that are left, or one where no scheduler keeps jobs in order."""
        at_once = self.inputs.settings.get_dict().get("jobs_at_once")
        computer = self.inputs[step].code.computer
        if at_once is None and (computer is None or computer.scheduler_type == "core.direct"):
            at_once = 1
        return names[self.ctx.position :][:at_once]

    def _note_failures(self, kind: str, names: list[str], what: str) -> None:
        for name in names:
            node = self.ctx[f"{kind}_{name}"]
            if not node.is_finished_ok:
                self.ctx.failures[name] = f"{what}: {how_it_ended(node)}"
                if failed_by_chance(node):  # then the next campaign should try again
                    self.node.base.caching.is_valid_cache = False
        self.ctx.position += len(names)

    def _own_structures(self) -> dict[str, dict[str, StructureData]]:
        """Return formula -> label -> the user's structures of phases that may compete with the compound."""
        from aiida_perovskite.chemistry import Composition
        from aiida_perovskite.chemistry.phases import reduced_formula

        compound = reduced_formula(self.inputs.formula.value)
        elements = set(Composition.parse(self.inputs.formula.value).elements)
        own: dict[str, dict[str, StructureData]] = {}
        for label, node in (self.inputs.get("structures") or {}).items():
            name = reduced_formula(node.get_formula(mode="hill_compact"))
            # A structure of the compound itself, which databases hold too, does not compete with it.
            if name != compound and node.get_symbols_set() <= elements:
                own.setdefault(name, {})[label] = node
        return own
