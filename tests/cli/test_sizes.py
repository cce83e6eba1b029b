"""Sizes beyond memory or 64 bits are errors of one line; long files round-trip."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as library
from anynet.cli import plots
from anynet.cli.artifacts import to_toml
from anynet.cli.config import read_config
from anynet.cli.options import TrainOptions
from anynet.cli.reports import MOST_PRINTED, Report
from anynet.data.batches import HostBatches, Rows
from anynet.data.sources.source import Source
from anynet.errors import InvalidArgumentError

Command = Callable[..., Any]
QUICK = ("digits", "--epochs", "1", "--backend", "numpy", "--quiet")


@pytest.mark.parametrize(
    "layers", ["99999999999", "9223372036854775807", "900000,900000", "9,4000000000,4000000000"]
)
def test_layers_larger_than_memory_are_errors(fails: Command, tmp_path: Path, layers: str) -> None:
    message = fails("train", *QUICK, "--layers", layers, "--out", tmp_path / "run")
    assert "GB of memory" in message
    assert layers.rpartition(",")[2] in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option", ["epochs", "batch-size", "seed", "threads", "layers", "patience"]
)
@pytest.mark.parametrize("value", [2**63, 2**70, 10**30])
def test_numbers_of_more_than_64_bits_are_errors(anynet: Command, option: str, value: int) -> None:
    outcome = anynet("train", "digits", f"--{option}", value)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert f"--{option}: expected " in outcome.err
    assert str(value) in outcome.err


@pytest.mark.parametrize("option", ["seeds", "jobs"])
def test_too_large_numbers_of_runs_are_usage_errors(anynet: Command, option: str) -> None:
    outcome = anynet("study", "depth", "digits", f"--{option}", 10**12)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "at most" in outcome.err


def test_a_batch_size_above_the_number_of_rows_uses_all_rows(
    anynet: Command, tmp_path: Path
) -> None:
    models = []
    for size in (10_000, 2**63 - 1):
        assert (
            anynet("train", *QUICK, "--batch-size", size, "--out", tmp_path / str(size)).code == 0
        )
        models.append((tmp_path / str(size) / "model.safetensors").read_bytes())
    assert models[0] == models[1]


@pytest.mark.parametrize("counts", [{"epochs": 10**30}, {"batch_size": 2**64}])
def test_fit_with_numbers_of_more_than_64_bits_raises(digits: library.Dataset, counts: Any) -> None:
    network = library.mlp([64, 10])
    with pytest.raises(InvalidArgumentError, match=f"{next(iter(counts))} must be at most"):
        library.fit(network, digits.train, backend="numpy", **counts)


def test_running_out_of_memory_is_an_error_of_one_line(
    fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> None:
        message = "Unable to allocate 7.45 GiB for an array with shape (1000000000,)"
        raise MemoryError(message)

    monkeypatch.setattr("anynet.training.trainer.Cohort.train", short)
    error = fails("train", *QUICK, "--out", tmp_path / "run")
    assert "out of memory" in error
    assert "(1000000000,)" in error
    assert list(tmp_path.iterdir()) == []


class Counted(Source):
    """Rows generated on request, in windows of a hundred."""

    def __init__(self) -> None:
        self.x = np.arange(2000, dtype=np.float32).reshape(500, 4)
        self.shape, self.dtype, self.window = self.x.shape, self.x.dtype, 1600

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.x[rows]


def test_windows_shrink_if_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = library.get_backend("numpy")
    asked: list[int] = []
    empty = type(backend).host_empty

    def short(self: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        if len(shape) == 2:
            asked.append(shape[0])
            if shape[0] > 30:
                raise MemoryError
        return empty(self, shape, dtype)

    order = np.random.default_rng(0).permutation(500).astype(np.int32).reshape(50, 10)

    def gathered() -> np.ndarray:
        source = Counted()
        rows = Rows(source, np.arange(500))
        parts = [
            np.asarray(block.x)[np.asarray(local).reshape(-1)].copy()
            for local, block in HostBatches(rows, backend).blocks(order)
        ]
        return np.concatenate(parts)

    whole = gathered()
    monkeypatch.setattr(type(backend), "host_empty", short)
    np.testing.assert_array_equal(gathered(), whole)
    assert max(asked) == 100
    assert 0 < asked[-1] <= 30
    monkeypatch.setattr("anynet.data.batches.available_memory", lambda: 16 * 80)
    asked.clear()
    np.testing.assert_array_equal(gathered(), whole)
    assert max(asked) == 20


NAMES = [
    "plain",
    "with \"quotes\" and 'others'",
    "'''",
    "a.b.c." * 100,
    "\\",
    "ü=é#[]{}",
    "\t\n\x07",
    "=",
]


@pytest.mark.parametrize("name", NAMES)
def test_long_configurations_round_trip(tmp_path: Path, name: str) -> None:
    columns = tuple(f"{name} {i}=category" for i in range(4000))
    options = TrainOptions(dataset="table.csv", target="y", columns=columns)
    notes = {"notes": [f"column {name} {i} is ignored: it is constant" for i in range(3000)]}
    path = tmp_path / "config.toml"
    path.write_text(to_toml(options, notes), encoding="utf-8")
    assert path.stat().st_size > 2**16
    again = TrainOptions(**read_config(path))
    assert again == replace(options, out=again.out)


@pytest.mark.parametrize(
    "key",
    [
        ".".join("a" * 40_000),
        ".".join(['"a"'] * 30_000),
        '"""x""" = 1\n' + ".".join("a" * 40_000),
        'x = ["""a"b""", {' + ".".join("a" * 40_000) + ' = "v"}, """c"d"""]\n#',
        "x = '''a\"b'''\n" + ".".join("a" * 40_000),
    ],
)
def test_too_long_keys_raise_before_parsing(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"{key} = 1\n")
    monkeypatch.setattr("tomllib.loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(InvalidArgumentError, match="too long for a configuration"):
        read_config(path)


def labels(n_classes: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    true = rng.integers(0, n_classes, 5000)
    predicted = np.where(rng.random(5000) < 0.7, true, rng.integers(0, n_classes, 5000))
    return true, predicted, [f"class {i}" for i in range(n_classes)]


@pytest.mark.parametrize("n_classes", [1000, 50_000])
def test_reports_of_many_classes_are_sparse(n_classes: int) -> None:
    import tracemalloc

    true, predicted, names = labels(n_classes)
    tracemalloc.start()
    report = Report.of(true, predicted, names)
    text, found = report.as_text(), report.as_json()
    assert tracemalloc.get_traced_memory()[1] < 100e6  # the matrix of 50,000 classes needs 20 GB
    tracemalloc.stop()
    assert len(text.splitlines()) == 2 * MOST_PRINTED + 5 + len(report.beside) + 1
    assert f"the {MOST_PRINTED} of {n_classes:,} classes with the most errors" in text
    assert len(found["classes"]) == n_classes
    wrong = int((true != predicted).sum())
    if n_classes > 1000:
        assert found["confusion"] is None
        assert sum(count for _, _, count in found["confused"]) == wrong
    else:
        counts = np.asarray(found["confusion"])
        assert counts.sum() - np.trace(counts) == wrong
    assert report.accuracy == np.mean(true == predicted)
    for i in np.unique(true)[:20]:
        assert report.recall[i] == pytest.approx(np.mean(predicted[true == i] == i))


@pytest.mark.parametrize("n_classes", [30, 100, 101, 1000])
def test_plots_of_many_classes_show_the_most_confused_ones(
    tmp_path: Path, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(plots, "write", lambda figure, path: figures.append(figure))  # noqa: ARG005
    true, predicted, names = labels(n_classes)
    report = Report.of(true, predicted, names)
    plots.save_confusion(tmp_path / "a.png", report, "title")
    axes, _ = figures[0].axes
    drawn = min(n_classes, plots.MOST_DRAWN)
    assert axes.images[0].get_array().shape == (drawn, drawn)
    assert len(axes.get_xticks()) == len(axes.get_yticks()) == drawn
    said = f"the {drawn} of {n_classes:,} classes with the most errors"
    assert (said in axes.get_title()) == (drawn < n_classes)
    shown = [int(label.get_text().split()[1]) for label in axes.get_yticklabels()]
    assert shown == report.most_confused(plots.MOST_DRAWN)
