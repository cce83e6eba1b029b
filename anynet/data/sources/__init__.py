"""Samples on disk, read in part: one reader for each format."""

from anynet.data.sources.open import open_source
from anynet.data.sources.source import WINDOW_BYTES, Source

__all__ = ["WINDOW_BYTES", "Source", "open_source"]
