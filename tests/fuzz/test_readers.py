"""Corrupted files of every kind raise an error of anynet within limits of time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.campaign import Reader, search
from fuzz.readers import readers
from fuzz.table_readers import table_readers

READERS = [*readers(), *table_readers()]
FEW, MANY = 150, 5000


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_a_few_corrupted_files(reader: Reader, tmp_path: Path) -> None:
    counts = search(reader, FEW, tmp_path)
    assert counts["refused"] > FEW // 10


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=str)
def test_many_corrupted_files(reader: Reader, tmp_path: Path) -> None:
    assert MANY * len(READERS) >= 100_000
    counts = search(reader, MANY, tmp_path, seed=1)
    assert min(counts.values()) > 0
