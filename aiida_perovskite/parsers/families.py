"""Analysis of families -> tables and numbers as nodes."""

from __future__ import annotations

from aiida_perovskite.parsers.train import LearningParser


class FamiliesParser(LearningParser):
    """Outputs the tables of the analysis, and the numbers ``summary`` and ``agreement``."""

    _what = "the analysis"
    _required = ("summary.json", "agreement.json", "families.csv", "members.csv")

    def parse_files(self) -> None:
        """Hand out tables and numbers."""
        self.out_tables("members", "scan", "families", "elements", "claims", "components", "stability", "attributions")
        self.out_numbers("summary", "agreement")
