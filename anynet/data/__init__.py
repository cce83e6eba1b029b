"""Data sets in host memory: reading, finding and fetching them. Importing this reads no file."""

from anynet.data.dataset import Dataset
from anynet.data.datasets import (
    load_dataset,
    locate_dataset,
    verify_dataset,
)
from anynet.data.download import download
from anynet.data.fetch import fetch_dataset
from anynet.data.idx import read_idx, write_idx
from anynet.data.names import dataset_names
from anynet.data.sources import Source, open_data
from anynet.data.tables import Preprocessing, Table, load_table, read_table
from anynet.data.verify import FileState

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
    "load_table",
    "locate_dataset",
    "open_data",
    "read_idx",
    "read_table",
    "verify_dataset",
    "write_idx",
]
