"""Data sets, tables and samples on disk: found, read and prepared. Importing this reads no file."""

import warnings

from anynet.data.catalogue import dataset_names
from anynet.data.dataset import Dataset
from anynet.data.datasets import load_dataset, locate_dataset, verify_dataset
from anynet.data.fetch import download, fetch_dataset
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

_RENAMED = {"load_table": load_tabular_dataset, "open_data": open_source}


def renamed(name: str, stacklevel: int = 3) -> object:
    """Return a function by its name of the previous version, with a ``DeprecationWarning``.

    Parameters
    ----------
    name : str
        The name of the previous version.
    stacklevel : int
        See ``warnings.warn``.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    AttributeError
        If there was no function of this name.
    """
    if name not in _RENAMED:
        message = f"module 'anynet.data' has no attribute {name!r}"
        raise AttributeError(message)
    message = f"anynet.{name} is deprecated: use anynet.{_RENAMED[name].__name__}"
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)
    return _RENAMED[name]


def __getattr__(name: str) -> object:
    return renamed(name)
