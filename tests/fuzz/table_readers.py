"""The readers of tables and checkpoints, each with valid files to begin from."""

from __future__ import annotations

import json
import struct
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from fuzz.campaign import Reader
from fuzz.mutations import spoil_bytes, spoil_document, spoil_safetensors, spoil_text
from safetensors import safe_open

import anynet
from anynet.data.tables import Preprocessing
from anynet.data.tables.load import labelled_rows
from anynet.optim import Cosine, Warmup
from anynet.training.checkpoint import DIGEST, KEY, digest_of

NUMPY = anynet.get_backend("numpy")
ROWS = 12
X, Y = np.arange(3.0 * ROWS).reshape(ROWS, 3) / 36, np.arange(ROWS) % 2
CSV = "\n".join(
    [
        "id,price,colour,bought,new,kind",
        *(
            f'{n},{n * 1.5},"{("red", "a b", "blue")[n % 3]}",2024-0{1 + n % 9}-11,'
            f"{('yes', 'no')[n % 2]},{('x', 'y')[n // 2 % 2]}"
            for n in range(20)
        ),
    ]
)


def _table(target: str) -> anynet.Dataset:
    return anynet.load_table(_columns(), target)


def _columns() -> dict[str, Any]:
    header, *lines = CSV.replace('a ""b""', "ab").replace('"', "").split("\n")
    return dict(
        zip(
            header.split(","), map(list, zip(*(li.split(",") for li in lines), strict=True)),
            strict=True,
        )
    )  # fmt: skip


@cache
def _trained(target: str) -> anynet.Model:
    data = _table(target)
    network = anynet.mlp([data.preprocessing.n_inputs, 4, len(data.classes) or 1])
    return anynet.fit(network, data.train, epochs=1, backend=NUMPY, metadata=data.metadata)


def _read_csv(path: Path) -> None:
    """Train's way with a table, and predict's: new rows for a model that knows others."""
    preprocessing = Preprocessing.of(_trained("kind"))
    table = anynet.read_table(path)
    try:
        preprocessing.encode(table)
    finally:  # either may refuse it, in its own words
        anynet.load_table(table, "kind" if "kind" in table.columns else next(iter(table.columns)))


def _read_table_model(path: Path) -> None:
    """Do with a model all that ``anynet predict`` and ``evaluate`` do with rows of a table."""
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


def _checkpoints() -> tuple[bytes, ...]:
    contents = []
    warmed = {"learning_rate": Warmup(Cosine(0.1, epochs=2), 1), "augment": "noise,mixup"}
    for options in ({}, {"optimizer": "adam", "validation": 0.25, "average": 0.9}, warmed):
        with tempfile.TemporaryDirectory() as folder:
            network = anynet.mlp([3, 2, 2], dropout=0.5)
            anynet.fit(
                network, (X, Y), epochs=1, batch_size=6, backend=NUMPY, checkpoint=folder, **options
            )
            contents.append(next(Path(folder).glob("*.safetensors")).read_bytes())
    return tuple(contents)


def _resume(path: Path) -> None:
    """Go on with a run for one epoch more."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        (Path(folder) / "step-000000000001.safetensors").write_bytes(path.read_bytes())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                anynet.resume(folder, (X, Y), epochs=2, backend=NUMPY)
        except anynet.AnynetError as error:
            raise anynet.CheckpointError(str(error).replace(folder, "")) from error


def _spoil_checkpoint(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Spoil what a checkpoint says and give it the checksum of that, or spoil its bytes."""
    if random.random() < 0.3:
        return spoil_safetensors(random, content, others)
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header, tensors = json.loads(content[8 : 8 + length]), content[8 + length :]
        said = json.loads(header["__metadata__"][KEY])
        text = json.dumps(spoil_document(random, said))
        header["__metadata__"] = {KEY: text, DIGEST: digest_of(text, _arrays(content))}
    except Exception:  # it was spoilt before: then its bytes are spoilt again
        return spoil_bytes(random, content, others)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + tensors


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with safe_open(file.name, framework="numpy") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def table_readers() -> list[Reader]:
    """List the readers of tables and checkpoints."""
    plain, utf16 = CSV.encode(), CSV.replace(",", ";").encode("utf-16")
    arrow = lambda path: anynet.read_table(path)  # noqa: E731
    return [
        Reader("csv", ".csv", _read_csv, lambda: (plain, utf16), spoil_text),
        Reader("parquet", ".parquet", arrow, lambda: _arrow("parquet"), spoil_bytes),
        Reader("arrow", ".arrow", arrow, lambda: _arrow("arrow"), spoil_bytes),
        Reader("table model", ".safetensors", _read_table_model, _models, spoil_safetensors),
        Reader("checkpoint", ".safetensors", _resume, _checkpoints, _spoil_checkpoint),
    ]
