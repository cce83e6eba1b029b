"""The readers of tables and of samples on disk, each with valid files to start from."""

from __future__ import annotations

import csv
import io
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz.campaign import Reader
from fuzz.mutations import corrupt_bytes, corrupt_safetensors, corrupt_text

import anynet
from anynet.data import write_idx
from anynet.data.tables import Preprocessing
from anynet.data.tables.load import labelled_rows

NUMPY = anynet.get_backend("numpy")
X = np.arange(36.0).reshape(12, 3) / 36
COLOURS = ("red", 'a ""b"", c', "blue")
CSV = "\n".join(
    [
        "id,price,colour,bought,new,kind",
        *(
            f'{n},{n * 1.5},"{COLOURS[n % 3]}",2024-0{1 + n % 9}-11,'
            f"{('yes', 'no')[n % 2]},{('x', 'y')[n // 2 % 2]}"
            for n in range(20)
        ),
    ]
)


def _columns() -> dict[str, Any]:
    """Return the same rows in memory."""
    header, *rows = csv.reader(io.StringIO(CSV))
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


@cache
def _trained(target: str) -> anynet.Model:
    data = anynet.load_tabular_dataset(_columns(), target)
    network = anynet.mlp([data.preprocessing.n_inputs, 4, len(data.classes) or 1])
    return anynet.fit(network, data.train, epochs=1, backend=NUMPY, metadata=data.metadata)


def _read_csv(path: Path) -> None:
    """Read a table as ``train`` does and as ``predict`` does, with new rows for a trained model."""
    preprocessing = Preprocessing.of(_trained("kind"))
    table = anynet.read_table(path)
    try:
        preprocessing.encode(table)
    finally:  # each may raise its own error
        anynet.load_tabular_dataset(
            table, "kind" if "kind" in table.columns else next(iter(table.columns))
        )


def _read_table_model(path: Path) -> None:
    """Do everything that ``anynet predict`` and ``evaluate`` do with rows of a table."""
    model = anynet.load(path, backend=NUMPY)
    preprocessing = Preprocessing.of(model)
    x, _ = preprocessing.encode(_columns())
    model.predict(x)
    labelled_rows(preprocessing, anynet.read_table(_columns()))


def _models() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        contents = []
        for target in ("kind", "price"):
            _trained(target).save(path)
            contents.append(path.read_bytes())
    return tuple(contents)


def _arrow(kind: str) -> tuple[bytes, ...]:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table(
        {
            "n": pa.array(range(20)),
            "x": pa.array([None, *np.arange(19.0)]),
            "kind": pa.array([("a", "b")[n % 2] for n in range(20)]).dictionary_encode(),
            "day": pa.array(np.arange(20).astype("M8[D]")),
        }
    )
    contents = []
    for compression in ("none", "snappy") if kind == "parquet" else ("none", "stream"):
        sink = pa.BufferOutputStream()
        if kind == "parquet":
            pyarrow.parquet.write_table(table, sink, compression=compression)
        else:
            make = pa.ipc.new_stream if compression == "stream" else pa.ipc.new_file
            with make(sink, table.schema) as writer:
                writer.write_table(table)
        contents.append(sink.getvalue().to_pybytes())
    return tuple(contents)


def _read_source(path: Path) -> None:
    """Open samples on disk, and read all of them in two orders."""
    is_table = path.suffix in (".csv", ".parquet", ".arrow")
    source = anynet.open_source(path, "n" if is_table else None, window=100)
    rows = np.arange(min(len(source), 1000))
    source.read(rows)
    source.read(rows[::3])


def _numbers(suffix: str) -> tuple[bytes, ...]:
    """Return tables with numeric columns only, as sources require."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.csv
    import pyarrow.parquet

    table = pa.table({"n": pa.array(range(20)), "x": pa.array(np.arange(20.0)), "k": [1] * 20})
    sink = pa.BufferOutputStream()
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, sink)
    elif suffix == ".parquet":
        pyarrow.parquet.write_table(table, sink, row_group_size=8)
    else:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=8)
    return (sink.getvalue().to_pybytes(),)


def _arrays_on_disk(suffix: str) -> tuple[bytes, ...]:
    contents = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        for array in (X.astype("f4"), np.ones((5, 2, 2), "u1"), X):
            np.save(path, array) if suffix == ".npy" else write_idx(path, array)
            contents.append(path.read_bytes())
    return tuple(contents)


def _sources() -> list[Reader]:
    corrupt = {".csv": corrupt_text}
    return [
        *(
            Reader(
                f"source {s}",
                s,
                _read_source,
                lambda s=s: _numbers(s),
                corrupt.get(s, corrupt_bytes),
            )
            for s in (".csv", ".parquet", ".arrow")
        ),
        *(
            Reader(f"source {s}", s, _read_source, lambda s=s: _arrays_on_disk(s), corrupt_bytes)
            for s in (".npy", ".idx")
        ),
    ]


def table_readers() -> list[Reader]:
    """List the readers of tables and of samples on disk."""
    plain, utf16 = CSV.encode(), CSV.replace(",", ";").encode("utf-16")
    return [
        Reader("csv", ".csv", _read_csv, lambda: (plain, utf16), corrupt_text),
        Reader("parquet", ".parquet", anynet.read_table, lambda: _arrow("parquet"), corrupt_bytes),
        Reader("arrow", ".arrow", anynet.read_table, lambda: _arrow("arrow"), corrupt_bytes),
        Reader("table model", ".safetensors", _read_table_model, _models, corrupt_safetensors),
        *_sources(),
    ]
