"""The index of a data frame is not an input: rows sorted by class must not leak the target."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

INPUTS = ["x", "c = u", "c = v"]


@pytest.fixture
def frame(rng: np.random.Generator) -> Any:
    return pd.DataFrame(
        {
            "x": rng.normal(size=120),
            "c": rng.choice(["u", "v"], 120),
            "y": np.repeat(["a", "b"], 60),
        }
    )


CHANGES: dict[str, Callable[[Any], Any]] = {
    "shuffled": lambda frame: frame.sample(frac=1, random_state=0),
    "filtered": lambda frame: frame[frame.x > -0.5],
    "resampled": lambda frame: frame.sample(frac=1, replace=True, random_state=1),
    "concatenated": lambda frame: pd.concat([frame[::2], frame[::3]]),
    "dated": lambda frame: frame.set_index(pd.date_range("2020-01-01", periods=len(frame))),
    "named rows": lambda frame: frame.rename(index=lambda i: f"row {(7 * i) % 120}"),
}
WRITES: dict[str, Callable[[Any, Path], Any]] = {
    "t.csv": lambda frame, path: frame.to_csv(path),
    "t.tsv": lambda frame, path: frame.to_csv(path, sep="\t"),
    "t.parquet": lambda frame, path: frame.to_parquet(path),
    "twice.csv": lambda frame, path: (
        frame.to_csv(path),
        pd.read_csv(path).to_csv(path, index=False),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", WRITES)
def test_an_index_is_ignored_and_reported(
    tmp_path: Path, frame: Any, change: str, name: str
) -> None:
    path = tmp_path / name
    WRITES[name](CHANGES[change](frame), path)
    data = anynet.load_tabular_dataset(path, "y")
    assert data.preprocessing.input_names == INPUTS
    assert any("index of a data frame" in note for note in data.notes)
    for rows in (path, frame, frame[["x", "c"]]):
        assert data.preprocessing.encode(anynet.read_table(rows))[1] == []


def test_an_index_converted_to_a_column_is_ignored(tmp_path: Path, frame: Any) -> None:
    shuffled = frame.sample(frac=1, random_state=0)
    pl = pytest.importorskip("polars")
    pl.DataFrame(frame).with_row_index().sample(fraction=1, shuffle=True, seed=1).write_parquet(
        tmp_path / "p.parquet"
    )
    shuffled.rename_axis("patient").to_parquet(tmp_path / "named.parquet")
    for source in (
        shuffled.reset_index(),
        tmp_path / "p.parquet",
        tmp_path / "named.parquet",
    ):
        assert anynet.load_tabular_dataset(source, "y").preprocessing.input_names == INPUTS


def test_new_rows_may_have_an_index_that_the_training_rows_lack(tmp_path: Path, frame: Any) -> None:
    data = anynet.load_tabular_dataset(frame, "y")
    for name, write in WRITES.items():
        write(frame.sample(frac=1, random_state=0), tmp_path / name)
        assert data.preprocessing.encode(anynet.read_table(tmp_path / name))[1] == []


def test_an_index_can_be_used_on_request(tmp_path: Path, frame: Any) -> None:
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv")
    data = anynet.load_tabular_dataset(tmp_path / "t.csv", "y", columns={"column 1": "number"})
    assert data.preprocessing.input_names == ["column 1", *INPUTS]


def test_columns_with_index_names_but_other_content_are_inputs(frame: Any) -> None:
    frame["index"] = frame.x.round(1) * 2.5
    frame["level_0"] = np.arange(120) % 7
    data = anynet.load_tabular_dataset(frame, "y")
    assert data.preprocessing.input_names == [*INPUTS, "index", "level_0"]


@pytest.mark.parametrize("name", ["id", "ID", "Id"])
def test_distinct_integer_ids_are_ignored_unless_requested(frame: Any, name: str) -> None:
    shuffled = frame.assign(**{name: range(5, 125)}).sample(frac=1, random_state=0)
    data = anynet.load_tabular_dataset(shuffled, "y")
    assert data.preprocessing.input_names == INPUTS
    assert any(name in note and "name the rows" in note for note in data.notes)
    chosen = anynet.load_tabular_dataset(shuffled, "y", columns={name: "number"})
    assert name in chosen.preprocessing.input_names
    repeated = shuffled.assign(**{name: shuffled[name] // 2})
    assert name in anynet.load_tabular_dataset(repeated, "y").preprocessing.input_names
