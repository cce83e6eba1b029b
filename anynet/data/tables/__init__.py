"""Tables: read, their columns judged and encoded, predictions decoded."""

from anynet.data.tables.encodings import Encoding
from anynet.data.tables.load import is_table, load_tabular_dataset, read_table
from anynet.data.tables.preprocessing import Preprocessing
from anynet.data.tables.supervised import Supervised, table_of
from anynet.data.tables.table import Table

__all__ = [
    "Encoding",
    "Preprocessing",
    "Supervised",
    "Table",
    "is_table",
    "load_tabular_dataset",
    "read_table",
    "table_of",
]
