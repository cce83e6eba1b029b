"""Tables: read, their columns understood and encoded, predictions brought back into their terms."""

from anynet.data.tables.load import load_table
from anynet.data.tables.preprocessing import Preprocessing
from anynet.data.tables.read import is_table, read_table
from anynet.data.tables.table import Table

__all__ = ["Preprocessing", "Table", "is_table", "load_table", "read_table"]
