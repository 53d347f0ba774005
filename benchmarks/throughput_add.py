"""What AiiDA's documentation builds around its arithmetic job; in a file of its own, since daemon workers import it."""

from __future__ import annotations

from typing import Any

from aiida.calculations.arithmetic.add import ArithmeticAddCalculation
from aiida.engine import BaseRestartWorkChain, while_


class AddBaseWorkChain(BaseRestartWorkChain):
    """Run an addition until it succeeds."""

    _process_class = ArithmeticAddCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline."""
        super().define(spec)
        spec.expose_inputs(ArithmeticAddCalculation, namespace="add")
        spec.expose_outputs(ArithmeticAddCalculation)
        spec.outline(cls.setup, while_(cls.should_run_process)(cls.run_process, cls.inspect_process), cls.results)

    def setup(self) -> None:
        """Prepare the inputs."""
        super().setup()
        self.ctx.inputs = self.exposed_inputs(ArithmeticAddCalculation, "add")
