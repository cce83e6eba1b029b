"""Sources on disk: every reader returns the rows of NumPy and raises for invalid files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import DataError, InvalidArgumentError
from anynet.data import write_idx
from anynet.data.sources.arrays import InMemory, open_map
from anynet.data.sources.wrappers import Checked, Joined

N, INPUTS = 700, 5


@pytest.fixture
def x(rng) -> np.ndarray:
    return rng.standard_normal((N, INPUTS)).astype(np.float32)


@pytest.fixture
def y(rng) -> np.ndarray:
    return rng.integers(3, size=N)


def write_table(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import csv, feather, parquet

    names = [f"in {index}" for index in range(x.shape[1])]
    table = pa.table({**dict(zip(names, x.T, strict=True)), "class": y})
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=100)
    elif path.suffix == ".feather":
        feather.write_feather(table, path, chunksize=100)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    else:
        csv.write_csv(table, path)


def open_each(folder: Path, kind: str, x: np.ndarray, y: np.ndarray) -> anynet.Source:
    if kind == "npy":
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", y)
        return anynet.open_source(folder / "x.npy", folder / "y.npy")
    if kind == "swapped":
        np.save(folder / "x.npy", x.astype(">f4"))
        return anynet.open_source(folder / "x.npy", y)
    if kind == "idx":
        write_idx(folder / "train-images-idx3-ubyte", x.reshape(N, 1, INPUTS))
        write_idx(folder / "train-labels-idx1-ubyte", y.astype(np.uint8))
        return anynet.open_source(folder)
    path = folder / f"table.{kind}"
    write_table(path, x, y)
    return anynet.open_source(path, "class")


@pytest.mark.parametrize("kind", ["npy", "swapped", "idx", "parquet", "feather", "arrow", "csv"])
def test_every_format_returns_the_requested_rows(kind, tmp_path, x, y, rng) -> None:
    source = open_each(tmp_path, kind, x, y)
    assert source.shape == (N, INPUTS)
    assert source.dtype == (np.float64 if kind == "csv" else np.float32)
    np.testing.assert_array_equal(source.y, y)
    assert (source.y.dtype.kind in "iu") == (y.dtype.kind == "i")
    assert source.starts[0] == 0
    everything = np.arange(N)
    for rows in (everything, everything[:1], everything[-3:], np.flatnonzero(rng.random(N) < 0.3)):
        got = source.read(rows)
        np.testing.assert_allclose(got, x[rows], rtol=1e-6 if kind == "csv" else 0)
        out = np.full((len(rows), INPUTS), np.nan, dtype=source.dtype)
        source.read_into(rows, out)
        np.testing.assert_array_equal(out, got)
    again = pickle.loads(pickle.dumps(source))  # for joblib processes
    np.testing.assert_array_equal(again.read(everything), source.read(everything))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "float64"])
def test_arrays_keep_their_dtypes(tmp_path, rng, dtype) -> None:
    x = rng.integers(2, size=(50, 2, 3)).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    source = anynet.open_source(tmp_path)
    assert source.shape == (50, 6)
    assert source.dtype == ("uint8" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(source.read(np.arange(50)), x.reshape(50, 6))
    assert source.nbytes == x.nbytes
    assert source.y is None


def test_long_rows_with_gaps_are_read_correctly(tmp_path, rng) -> None:
    """Rows of 20 kB: fewer than a hundred per megabyte, so gaps are not read."""
    x = rng.integers(256, size=(150, 20_000)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    for shuffle in ("blocks", "exact"):
        source = anynet.open_source(tmp_path, shuffle=shuffle)
        for rows in (np.array([0, 1, 51, 52, 53, 104, 149]), np.arange(40, 120)):
            np.testing.assert_array_equal(source.read(rows), x[rows])
    assert source.starts is None


def test_a_selection_maps_to_rows_and_keeps_its_block_starts(tmp_path, x, y, rng) -> None:
    source = open_each(tmp_path, "parquet", x, y)
    index = np.sort(rng.permutation(N)[:300])
    chosen = source[index]
    assert (len(chosen), chosen.shape) == (300, (300, INPUTS))
    rows = np.array([0, 7, 8, 299])
    np.testing.assert_array_equal(chosen.read(rows), x[index[rows]])
    np.testing.assert_array_equal(chosen.y, y[index])
    for block, start in enumerate(chosen.starts):
        assert np.all(index[start:] >= 100 * block)
        assert np.all(index[:start] < 100 * block)
    backwards = source[::-1]
    np.testing.assert_array_equal(backwards.read(rows), x[::-1][rows])
    assert backwards.starts is None
    np.testing.assert_array_equal(chosen[chosen.y == 1].y, 1)


def test_parts_of_a_table_are_concatenated(tmp_path, x, y) -> None:
    for name, rows in (("b", slice(250, N)), ("a", slice(250))):
        write_table(tmp_path / f"{name}.parquet", x[rows], y[rows])
    joined = anynet.open_source(tmp_path, "class")
    np.testing.assert_array_equal(joined.read(np.arange(N)), x)
    np.testing.assert_array_equal(joined.y, y)
    np.testing.assert_array_equal(joined.starts, [0, 100, 200, 250, 350, 450, 550, 650])
    listed = anynet.open_source([tmp_path / "b.parquet", tmp_path / "a.parquet"], "class")
    np.testing.assert_array_equal(listed.y, np.concatenate([y[250:], y[:250]]))
    mixed = Joined([InMemory(x), InMemory(x.astype(np.float64))])
    assert mixed.dtype == np.float64
    np.testing.assert_array_equal(mixed.read(np.array([3, N + 3])), x[[3, 3]])
    with pytest.raises(DataError, match="equally many inputs"):
        Joined([InMemory(x), InMemory(x[:, :2])])


@pytest.mark.parametrize("dtype", ["f4", ">f4"])
def test_memory_maps_are_read_from_their_files(tmp_path, x, dtype) -> None:
    path = tmp_path / "x.npy"
    np.save(path, x.astype(dtype))
    rows = np.array([0, 1, 7, 99])
    changed = np.load(path, mmap_mode="r+")
    changed[7] = x[7] = 8
    for mapped, wanted in (
        (np.load(path, mmap_mode="r"), x),
        (np.load(path, mmap_mode="r")[5:300][20:], x[25:300]),
        (np.load(path, mmap_mode="r").reshape(-1, 2, INPUTS), x.reshape(-1, 2 * INPUTS)),
        (changed, x),
    ):
        source = open_map(mapped)
        assert source.starts is None
        np.testing.assert_array_equal(source.read(rows), wanted[rows])


def test_only_plain_memory_maps_are_opened_as_files(tmp_path, x) -> None:
    path = tmp_path / "x.npy"
    np.save(path, x)
    mapped = np.load(path, mmap_mode="r")
    copied = np.load(path, mmap_mode="c")
    copied[3] = 8
    for array in (x, x.tolist(), copied, mapped[:, 1:], mapped[::2], mapped[0], mapped[:0]):
        assert open_map(array) is None
    assert open_map(np.asarray(mapped)) is None
    path.unlink()
    np.save(path, x + 1)
    assert open_map(mapped) is None  # the file of this name was replaced
    path.unlink()
    assert open_map(mapped) is None


def test_read_values_are_checked_and_converted(x) -> None:
    wide = x.astype(np.float64)
    wide[77, 2] = np.inf
    source = Checked(InMemory(wide), "float32", "data's x")
    assert (source.dtype, source.nbytes) == (np.float32, x.nbytes)
    rows = np.arange(100, N)
    np.testing.assert_array_equal(source.read(rows), x[rows])
    with pytest.raises(InvalidArgumentError, match=r"data's x holds NaN or .* row 77, column 2"):
        source.read(np.arange(N))
    some = Checked(InMemory(wide)[np.arange(50, N)], "float32", "data's x")
    with pytest.raises(InvalidArgumentError, match="row 77, column 2"):
        some.read(np.arange(len(some)))
    huge = Checked(InMemory(np.full((4, 2), 1e300)), "float32")
    with pytest.raises(InvalidArgumentError, match="first at row 0, column 0"):
        huge.read(np.arange(4))
    large = Checked(InMemory(np.full((4, 2), 3e38, dtype=np.float32)), "float32")
    assert np.all(np.isfinite(large.read(np.arange(4))))  # the sum is not finite


def test_a_file_changed_after_opening_raises(tmp_path, x, y) -> None:
    for kind in ("npy", "parquet"):
        source = open_each(tmp_path, kind, x, y)
        path = source.path
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(DataError, match="changed since"):
            source.read(np.arange(3))
        path.unlink()
        with pytest.raises(DataError, match="cannot read"):
            source.read(np.arange(3))


def fortran(path: Path) -> None:
    np.save(path, np.asfortranarray(np.ones((3, 2))))


def words(path: Path) -> None:
    np.save(path, np.array([["a", "b"]]))


def one_axis(path: Path) -> None:
    np.save(path, np.ones(3))


def objects(path: Path) -> None:
    np.save(path, np.array([[None]]), allow_pickle=True)


def short(path: Path) -> None:
    np.save(path, np.ones((3, 2)))
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (fortran, "column order.*ascontiguousarray"),
        (words, "expected real numbers"),
        (one_axis, "expected real numbers with a row"),
        (objects, "objects are never unpickled"),
        (short, "promises 48 bytes.*holds 47"),
        (empty, "damaged header"),
        (lambda _: None, "cannot read"),
    ],
)
def test_unsupported_arrays_raise(tmp_path, write: Callable[[Path], Any], message: str) -> None:
    write(tmp_path / "x.npy")
    with pytest.raises(DataError, match=message):
        anynet.open_source(tmp_path / "x.npy")


def test_compressed_and_foreign_idx_files_raise(tmp_path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(DataError, match=r"compressed.*gunzip"):
        anynet.open_source(tmp_path)
    (tmp_path / "notes.md").write_text("no data")
    with pytest.raises(DataError, match="is not IDX"):
        anynet.open_source(tmp_path / "notes.md")


CSV_CASES = {
    "a,b\n1,2\n3,x\n": "",
    "a,b\n1,2\n3\n": "cannot be read",
    "a,b\n1,\n3,4\n": "",
    "a,b,a\n1,2,3\n": "two columns are named 'a'",
    "a,b\n": "",
    "": "",
    "a,b\n2020-01-01,1\n": "'a' holds date32",
    "c,d\n1,2\n": "no column 'b': it has 'c', 'd'",
    "b\n1\n2\n": "no columns besides the target",
}


@pytest.mark.parametrize("text", CSV_CASES)
def test_unsupported_tables_raise(tmp_path, text) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "table.csv"
    path.write_text(text)

    def read() -> None:
        source = anynet.open_source(path, "b")
        source.read(np.arange(len(source)))

    with pytest.raises(DataError, match=CSV_CASES[text] or r"table\.csv"):
        read()


def test_csv_blocks_end_at_line_ends(tmp_path, monkeypatch, rng) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("anynet.data.sources.csv.BLOCK_BYTES", 100)
    numbers = rng.integers(-(10**6), 10**6, size=(200, 3))
    lines = [",".join(map(str, row)) for row in numbers]
    for newline, last in (("\n", "\n"), ("\r\n", ""), ("\n", "\n\n")):
        text = newline.join(["a,b,c", *lines]) + last
        (tmp_path / "t.csv").write_bytes(text.encode())
        source = anynet.open_source(tmp_path / "t.csv", "b")
        assert len(source.extents) > 20
        np.testing.assert_array_equal(source.y, numbers[:, 1])
        assert source.y.dtype == np.int64
        np.testing.assert_array_equal(source.read(np.arange(200)), numbers[:, [0, 2]])
    monkeypatch.setattr("anynet.data.sources.csv.MOST_BYTES", 8)
    with pytest.raises(DataError, match="a line of over 8 bytes"):
        anynet.open_source(tmp_path / "t.csv", "b")


def test_missing_values_raise_with_their_column(tmp_path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1.0, None], "b": [0, 1]}), tmp_path / "t.parquet")
    source = anynet.open_source(tmp_path / "t.parquet", "b")
    with pytest.raises(DataError, match="'a' has missing values"):
        source.read(np.arange(2))
    with pytest.raises(DataError, match="'a' has missing values"):
        anynet.open_source(tmp_path / "t.parquet", "a")


def test_missing_pyarrow_raises_with_the_install_command(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for suffix in ("csv", "parquet", "arrow"):
        (tmp_path / f"t.{suffix}").write_text("a,b\n1,2\n")
        with pytest.raises(DataError, match=r"needs pyarrow: pip install 'anynet-mlp\[tables\]'"):
            anynet.open_source(tmp_path / f"t.{suffix}", "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffle": "rows"}, "shuffle must be one of .blocks., .exact."),
        ({"window": 0}, "window must be a whole number"),
        ({"target": np.arange(3)}, "there are 3 targets"),
    ],
)
def test_invalid_arguments_raise(tmp_path, x, arguments, message) -> None:
    np.save(tmp_path / "x.npy", x)
    with pytest.raises((InvalidArgumentError, DataError), match=message):
        anynet.open_source(tmp_path / "x.npy", **arguments)


def test_incompatible_paths_raise(tmp_path, x, y) -> None:
    write_table(tmp_path / "a.csv", x, y)
    write_table(tmp_path / "b.parquet", x, y)
    write_table(tmp_path / "c.csv", x[:, :2], y)
    np.save(tmp_path / "d.npy", x)
    for paths, arguments, message in [
        (["a.csv", "b.parquet"], {"target": "class"}, "tables of one kind"),
        (["a.csv", "c.csv"], {"target": "class"}, "other columns than"),
        (["d.npy", "d.npy"], {}, "are tables"),
        (["a.csv"], {"target": y}, "name of a column"),
        (["a.csv"], {"target": "class", "shuffle": "exact"}, "choose shuffle='blocks'"),
        ([], {}, "needs the path"),
    ]:
        with pytest.raises((InvalidArgumentError, DataError), match=message):
            anynet.open_source([tmp_path / path for path in paths], **arguments)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="holds no samples: expected"):
        anynet.open_source(tmp_path / "nothing")


FLOAT = np.dtype(np.float32)


class Custom(anynet.Source):
    """A source with samples given by the test."""

    def __init__(self, make: Any, shape: Any = (40, 8), dtype: Any = FLOAT) -> None:
        self.make, self.shape, self.dtype, self.y = make, shape, dtype, np.arange(40) % 2

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.make(len(rows))


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda n: np.ones((n, 9), np.float32), r"\(\d+, 9\)"),
        (lambda _: np.ones((1, 8), np.float32), r"\(1, 8\)"),
        (lambda _: np.ones(8, np.float32), r"\(8,\)"),
        (lambda n: np.ones((n + 1, 8), np.float32), r"\(\d+, 8\)"),
        (lambda _: None, r"object of shape \(\)"),
        (lambda n: np.full((n, 8), "x"), "<U1 of shape"),
        (lambda n: np.ones((n, 8), complex), "complex128 of shape"),
    ],
)
def test_samples_with_a_wrong_shape_or_dtype_raise(make, received) -> None:
    network = anynet.mlp([8, 2])
    source = Custom(make)
    for resident in (None, False):
        with pytest.raises(DataError, match=rf"Custom\.read returned .*{received}.*expected float"):
            anynet.fit(network, source, epochs=1, resident=resident, backend="numpy")
    with pytest.raises(DataError, match=r"expected float32 of shape \(20, 8\)"):
        anynet.fit(network, source[::2], epochs=1, resident=False, backend="numpy")
    with pytest.raises(DataError, match="expected float32 of shape"):
        Joined([source, source]).read(np.arange(80))


def test_fractions_from_an_integer_source_raise() -> None:
    source = Custom(lambda n: np.full((n, 8), 0.5), dtype=np.dtype(np.uint8))
    with pytest.raises(DataError, match=r"returned float64 .*expected uint8"):
        anynet.fit(anynet.mlp([8, 2]), source, epochs=1, resident=False, backend="numpy")


@pytest.mark.parametrize(
    "attributes",
    [
        {"shape": (40,)},
        {"shape": (40, 2, 4)},
        {"shape": (40.0, 8)},
        {"shape": None},
        {"dtype": None},
        {"dtype": np.dtype(complex)},
    ],
)
def test_sources_with_an_invalid_shape_or_dtype_raise(attributes) -> None:
    source = Custom(lambda n: np.ones((n, 8), np.float32), **attributes)
    with pytest.raises(InvalidArgumentError, match=r"of Custom|of a source"):
        anynet.fit(anynet.mlp([8, 2]), source, epochs=1, backend="numpy")
