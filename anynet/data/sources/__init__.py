"""Samples on disk, read in part: one reader a format."""

from anynet.data.sources.open import open_data
from anynet.data.sources.source import Source

__all__ = ["Source", "open_data"]
