"""A job that is run again where that can help, and whose failures stay out of AiiDA's cache if they are no results."""

from __future__ import annotations

from aiida.engine import BaseRestartWorkChain, ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, load_node

from aiida_perovskite.workflows.sharing import OnceMixin


class JobWorkChain(OnceMixin, BaseRestartWorkChain):
    """What all WorkChains share that run one job, again and again if need be.

    AiiDA's cache takes a job that failed for as good as one that succeeded, unless its plugin declares the exit code
    otherwise. So a job that was lost would be lost again whenever it is repeated, at once or in a later campaign.
    """

    def is_reproducible(self, node: CalcJobNode) -> bool:
        """Tell whether a job that failed would fail in the same way again, or left something to go on from."""
        raise NotImplementedError

    @process_handler(priority=1000)
    def handle_failure_of_chance(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Keep failures that chance or the computer brought about out of the cache; run the job if it was there."""
        if not node.is_failed or self.is_reproducible(node):
            return None
        node.base.caching.is_valid_cache = False
        source = node.base.caching.get_cache_source()
        if source is None:
            return None
        load_node(source).base.caching.is_valid_cache = False
        self.report(f"{node.exit_message}, says the cache of an earlier job: running it")
        return ProcessHandlerReport(do_break=True)
