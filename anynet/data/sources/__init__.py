"""Samples on disk, read in part: one reader a format."""

from anynet.data.sources.open import open_data
from anynet.data.sources.source import WINDOW_BYTES, Source

__all__ = ["WINDOW_BYTES", "Source", "open_data"]
