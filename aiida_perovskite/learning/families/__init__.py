"""Families of compounds, by what a level network attends to: clusters, statistics, sentences, and their stability.

Start with `analyse`. scikit-learn and pandas are loaded when a name that needs them is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .settings import FamilySettings

_LAZY = {
    "Agreement": "agreement",
    "FamilyAnalysis": "analysis",
    "FamilyDataError": "descriptor",
    "TableClusters": "analysis",
    "analyse": "analysis",
    "attention_importance": "agreement",
    "build_descriptor": "descriptor",
    "cluster_table": "analysis",
    "measure_agreement": "agreement",
    "mirror_levels": "descriptor",
    "numeric_descriptor": "descriptor",
    "reduce_dimensions": "reduction",
}

__all__ = [
    "Agreement",
    "FamilyAnalysis",
    "FamilyDataError",
    "FamilySettings",
    "TableClusters",
    "analyse",
    "attention_importance",
    "build_descriptor",
    "cluster_table",
    "measure_agreement",
    "mirror_levels",
    "numeric_descriptor",
    "reduce_dimensions",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
