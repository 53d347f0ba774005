"""A campaign in the graph as `screen` leaves it: group, rows and results included, for tests of commands and pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from report.conftest import TINY, Builder, end, process, train

REFERENCE, WHOLE, FAILED = "AgBiCs2Br6", 0, 2  # WHOLE and FAILED: places among the chosen ones


@cache
def trained() -> SimpleNamespace:
    """A model of two epochs, once per session."""
    return train(TINY)


def store_campaign(folder: Path, name: str = "halides") -> Any:
    """Store a finished campaign; return the node of its ScreeningWorkChain. ``folder`` takes the checkpoint's files."""
    return Finished(trained(), folder, name).build(None)


def seal_all() -> None:
    """End every process of the profile for good, as AiiDA does; only then can it be exported."""
    from aiida.orm import ProcessNode, QueryBuilder

    for node in QueryBuilder().append(ProcessNode).all(flat=True):
        node.seal()


class Finished(Builder):
    """The report's campaign, with the rows of its candidates and the marks by which commands find it."""

    def build(self, stop_after: str | None) -> Any:
        """Store everything."""
        from aiida.orm import Group

        from aiida_perovskite.cli.campaigns import CAMPAIGN_EXTRA, SCREENING

        self.rows: dict[str, Any] = {}
        screening = super().build(stop_after)
        screening.process_type = SCREENING
        Group.collection.get(label=self.name).base.extras.set(CAMPAIGN_EXTRA, True)
        return screening

    def candidate(self, index: int, formula: str) -> tuple[str, Any]:
        """Store a candidate, then the row of what it found."""
        from aiida import orm

        from aiida_perovskite.calculations.results import summarise_candidate

        found = super().candidate(index, formula)
        links = self.screening.base.links.get_outgoing(link_label_filter=f"candidate_{formula}")
        work = links.one().node
        work.process_type = "aiida.workflows:perovskite.candidate"
        outputs = {link.link_label: link.node for link in work.base.links.get_outgoing(orm.Dict).all()}
        dicts = {label: node for label, node in outputs.items() if label not in ("verdict", "summary")}
        row = orm.Dict(summarise_candidate.__wrapped__(**dicts).get_dict())
        made_by = process("function", "summarise_candidate", work, "CALL", **dicts)
        end(made_by, result=row)
        end(work, work.exit_status, work.exit_message, summary=row)
        self.rows |= {f"summary_{formula}": row}
        self.rows |= {f"verdict_{formula}": outputs["verdict"]} if "verdict" in outputs else {}
        return found

    def collect(self, gaps: dict[str, Any]) -> None:
        """Store the table of results as the campaign makes it."""
        from aiida import orm

        from aiida_perovskite.calculations.results import collect_results

        failures = orm.Dict({self.chosen[FAILED]: "band gap failed"})
        node = process(
            "function",
            "collect_results",
            self.screening,
            "CALL",
            selection=self.selection,
            failures=failures,
            **self.rows,
        )
        self.results = collect_results.__wrapped__(self.selection, failures, **self.rows)
        end(node, result=self.results)
