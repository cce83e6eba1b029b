"""``open_source`` reads text files like ``read_table``, and index columns are not inputs."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.errors import DataError, InvalidArgumentError

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


@pytest.fixture
def frame(rng: np.random.Generator) -> Any:
    return pd.DataFrame(
        {
            "size": rng.normal(size=150).round(6),
            "größe": rng.integers(0, 900, 150),
            "amount": rng.integers(1, 4_000_000, 150) / 4,
            "y": np.arange(150) % 3,
        }
    )


def grouped(values: Any, thousands: str, decimal: str) -> list[str]:
    marks = {",": thousands, ".": decimal}
    return ["".join(marks.get(c, c) for c in f"{value:,.2f}") for value in values]


def opened(path: Path, **options: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = anynet.open_source(path, "y", **options)
    np.testing.assert_array_equal(source.y, np.arange(len(source)) % 3)
    return source.read(np.arange(len(source)))


def loaded(path: Path) -> np.ndarray:
    """Return the numbers that ``load_tabular_dataset`` reads."""
    data = anynet.load_tabular_dataset(path, "y")
    table, _ = data.preprocessing.read(anynet.read_table(path))
    columns = [table.columns[each.column] for each in data.preprocessing.encoders]
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


@pytest.mark.parametrize("block", [200, 2**20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    ("separator", "decimal", "thousands"),
    [(",", ".", ""), ("\t", ".", ","), (";", ",", "."), ("|", ",", " "), (";", ".", "'")],
)
def test_sources_match_tables_in_memory(
    tmp_path: Path,
    frame: Any,
    monkeypatch: pytest.MonkeyPatch,
    block: int,
    encoding: str,
    separator: str,
    decimal: str,
    thousands: str,
) -> None:
    expected = frame.drop(columns="y").to_numpy()
    frame["amount"] = grouped(frame["amount"], thousands, decimal)
    text = frame.to_csv(index=False, sep=separator, decimal=decimal)
    path = tmp_path / "t.csv"
    mark = "\ufeff".encode(encoding) if encoding == "utf-16-be" else b""
    path.write_bytes(mark + text.encode(encoding))
    np.testing.assert_array_equal(loaded(path), expected)
    monkeypatch.setattr("anynet.data.sources.csv.BLOCK_BYTES", block)
    np.testing.assert_array_equal(opened(path), expected)


def test_separator_declarations_and_comments_are_skipped(tmp_path: Path, frame: Any) -> None:
    expected = frame.drop(columns="y").to_numpy()
    text = frame.to_csv(index=False, sep=";")
    lines = text.splitlines(keepends=True)
    for content in (
        "sep=;\n" + text,
        '"sep=;"\r\n' + text.replace("\n", "\r\n"),
        "# made by a program; on a day\n#\n" + text,
        "".join([*lines[:5], "# a comment\n", *lines[5:], "# the end\n"]),
        "\n\n" + text,
    ):
        path = tmp_path / "t.csv"
        path.write_text(content, encoding="utf-8", newline="")
        np.testing.assert_array_equal(loaded(path), expected)
        np.testing.assert_array_equal(opened(path), expected)


def test_upper_case_and_other_file_extensions_are_read(tmp_path: Path, frame: Any) -> None:
    expected = frame.drop(columns="y").to_numpy()
    for name in ("t.CSV", "t.tsv", "t.tab", "t.txt"):
        frame.to_csv(tmp_path / name, index=False, sep="\t")
        np.testing.assert_array_equal(opened(tmp_path / name), expected)
    for name in ("t.pq", "t.PARQUET"):
        frame.to_parquet(tmp_path / name, index=False)
        np.testing.assert_array_equal(opened(tmp_path / name), expected)


def test_detected_separators_are_reported_and_given_ones_are_used(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;y\n" + "1.016;0\n2.350;1\n" * 9)
    with pytest.warns(UserWarning, match=r"'1.016' as 1016"):
        source = anynet.open_source(path, "y")
    np.testing.assert_array_equal(source.read(np.arange(2)), [[1016], [2350]])
    source = anynet.open_source(path, "y", decimal=".")
    np.testing.assert_array_equal(source.read(np.arange(2)), [[1.016], [2.35]])
    np.save(tmp_path / "x.npy", np.eye(2))
    with pytest.raises(InvalidArgumentError, match="not a text file: decimal"):
        anynet.open_source(tmp_path / "x.npy", decimal=",")
    with pytest.raises(InvalidArgumentError, match="decimal must be one of"):
        anynet.open_source(path, "y", decimal=";")


@pytest.mark.parametrize(
    ("first", "later"), [("1,5", "1.016"), ("1.016,5", "1.5"), ("999", "1.016"), ("999", "1,5")]
)
def test_numbers_that_contradict_the_first_block_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, later: str
) -> None:
    monkeypatch.setattr("anynet.data.sources.csv.BLOCK_BYTES", 40)
    path = tmp_path / "t.csv"
    path.write_text("a;y\n" + f"{first};0\n" * 20 + f"{later};1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = anynet.open_source(path, "y")
    with pytest.raises(DataError, match=r"1\.016|1\.5|1,5"):
        source.read(np.arange(21))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.feather", "reset.csv"])
def test_an_index_is_not_an_input(tmp_path: Path, frame: Any, name: str) -> None:
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled["y"] = np.arange(150) % 3
    path = tmp_path / name
    if name == "t.feather":
        shuffled.reset_index().to_feather(path)
    elif name == "t.parquet":
        shuffled.rename_axis("patient").to_parquet(path)
    elif name == "reset.csv":
        shuffled.reset_index().to_csv(path, index=False)
    else:
        shuffled.to_csv(path, sep="," if name == "t.csv" else "\t")
    with pytest.warns(UserWarning, match="not used: .*index of a data frame"):
        source = anynet.open_source(path, "y")
    assert source.columns == ["size", "größe", "amount"]
    np.testing.assert_array_equal(source.y, shuffled["y"])
    np.testing.assert_array_equal(
        source.read(np.arange(150)), shuffled[["size", "größe", "amount"]].to_numpy()
    )


def test_composed_and_decomposed_unicode_names_are_equal(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5], "u\u0308": [0, 1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_feather(tmp_path / "t.feather")
    for name in ("t.csv", "t.parquet", "t.feather"):
        source = anynet.open_source(tmp_path / name, "\u00fc")
        np.testing.assert_array_equal(source.y, [0, 1])
        np.testing.assert_array_equal(source.read(np.arange(2)), [[1.5], [2.5]])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_and_devices_raise(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="is a pipe"):
        anynet.open_source(tmp_path / "pipe.csv", "y")
    with pytest.raises(DataError, match="is a device"):
        anynet.open_source("/dev/zero")


def test_masked_targets_raise(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    with pytest.raises(InvalidArgumentError, match="masked array"):
        anynet.open_source(tmp_path / "x.npy", np.ma.array([0, 1, 2], mask=[0, 1, 0]))
