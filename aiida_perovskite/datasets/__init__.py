"""Datasets: the shipped table of hybrid gaps, and a registry that checks files from elsewhere."""

from aiida_perovskite.datasets.registry import (
    Dataset,
    DatasetCard,
    list_datasets,
    load_dataset,
    load_elpasolites_as_stored,
)
from aiida_perovskite.datasets.tables import DatasetError, load_table, validate_table

__all__ = [
    "Dataset",
    "DatasetCard",
    "DatasetError",
    "list_datasets",
    "load_dataset",
    "load_elpasolites_as_stored",
    "load_table",
    "validate_table",
]
