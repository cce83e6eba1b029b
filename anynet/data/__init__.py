"""Data sets, tables and samples on disk: found, read and prepared. Importing this reads no file."""

import warnings

from anynet.data.catalogue import dataset_names
from anynet.data.dataset import Dataset
from anynet.data.datasets import load_dataset, locate_dataset, verify_dataset
from anynet.data.download import download
from anynet.data.fetch import fetch_dataset
from anynet.data.idx import read_idx, write_idx
from anynet.data.published import FileState
from anynet.data.sources import Source, open_source
from anynet.data.tables import Preprocessing, Table, load_tabular_dataset, read_table

__all__ = [
    "Dataset",
    "FileState",
    "Preprocessing",
    "Source",
    "Table",
    "dataset_names",
    "download",
    "fetch_dataset",
    "load_dataset",
    "load_tabular_dataset",
    "locate_dataset",
    "open_source",
    "read_idx",
    "read_table",
    "verify_dataset",
    "write_idx",
]

#: Names of the previous version, and what replaces them.
RENAMED = {"load_table": "load_tabular_dataset", "open_data": "open_source"}


def __getattr__(name: str) -> object:
    """Return a function by its name of the previous version, with a warning."""
    if name in RENAMED:
        message = f"anynet.{name} is deprecated: use anynet.{RENAMED[name]}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return globals()[RENAMED[name]]
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
