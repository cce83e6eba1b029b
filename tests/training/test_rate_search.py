"""``find_learning_rate``: the curve of one short run, and a rate that trains well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.backends import Backend
from anynet.data import open_source
from anynet.errors import InvalidArgumentError
from anynet.optim import Muon

DATA = os.environ.get("ANYNET_DATA_DIR")


def blobs(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 3
    noise = np.random.default_rng(0).normal(0, 0.5, (n, 4))
    return (noise + y[:, None]).astype(np.float32), y


NETWORK = anynet.mlp([4, 16, 3])


def find(**options: Any) -> anynet.RateSearch:
    return anynet.find_learning_rate(NETWORK, blobs(), **{"backend": "numpy", **options})


def test_rates_rise_exponentially_and_losses_are_smoothed_with_correction() -> None:
    found = find(low=1e-5, high=10.0, steps=60)
    n = len(found.rates)
    assert found.rates == pytest.approx(np.geomspace(1e-5, 10.0, 60)[:n], rel=1e-4)
    weights = 0.9 ** np.arange(n)[::-1]
    for end in (1, 7, n):
        mean = np.average(found.losses[:end], weights=weights[-end:])
        assert found.smoothed[end - 1] == pytest.approx(mean)


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss() -> None:
    found = find()
    lowest = found.rates[10 + np.argmin(found.smoothed[10:])]
    assert found.suggestion == pytest.approx(lowest / 10, rel=0.05)
    assert found.warning == ""
    assert f"{found.suggestion:.3g}" in repr(found)


def test_the_run_stops_at_four_times_the_lowest_loss() -> None:
    found = find(high=1000.0, optimizer="adam")
    assert found.rates[-1] < 1000
    lowest = np.minimum.accumulate(found.smoothed)
    past = np.flatnonzero((found.smoothed > 4 * lowest) & (np.arange(len(lowest)) >= 10))
    assert past.tolist() == [len(lowest) - 1]


def test_the_first_loss_is_that_of_the_first_batch_before_training() -> None:
    x, y = blobs(60)
    options: dict[str, Any] = {"batch_size": 60, "backend": "numpy", "seed": 3}
    found = anynet.find_learning_rate(NETWORK, (x, y), **options)
    model = anynet.fit(NETWORK, (x, y), epochs=1, learning_rate=1e-9, **options)
    assert found.losses[0] == pytest.approx(model.history.records[0].train_loss, rel=1e-6)


def test_backends_have_the_same_curve(backend: Backend) -> None:
    options: dict[str, Any] = {"optimizer": "adam", "low": 1e-4, "high": 0.1, "steps": 40}
    with pytest.warns(UserWarning, match="raise high"):
        found = find(backend=backend, **options)
    with pytest.warns(UserWarning, match="raise high"):
        expected = find(**options)
    assert found.rates == pytest.approx(expected.rates, rel=1e-5)
    assert found.losses == pytest.approx(expected.losses, rel=2e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw", Muon(ratio=20)])
def test_suggested_rates_train_and_rates_far_from_them_do_not(optimizer: Any) -> None:
    data = anynet.load_dataset("digits")
    network = anynet.mlp([64, 64, 10], scale=data.scale)
    options: dict[str, Any] = {"optimizer": optimizer, "backend": "numpy"}
    rate = anynet.find_learning_rate(network, data.train, **options).suggestion

    def score(rate: float) -> float:
        model = anynet.fit_population(
            network, data.train, [{"learning_rate": rate}], epochs=20, patience=None, **options
        )[0]
        return model.score(*data.test)

    assert score(rate) > 0.92
    assert max(score(rate / 1000), score(rate * 1000)) < score(rate) - 0.1


def test_values_tables_and_members_can_be_searched() -> None:
    x, y = blobs()
    values = (2 * x[:, 0] + x[:, 1]).astype(np.float32)
    found = anynet.find_learning_rate(anynet.mlp([4, 16, 1]), (x, values), backend="numpy")
    model = anynet.fit(
        anynet.mlp([4, 16, 1]),
        (x, values),
        learning_rate=found.suggestion,
        epochs=50,
        backend="numpy",
    )
    assert model.history.best.train_score > 0.9
    weighted = anynet.find_learning_rate(
        NETWORK, (x, y, np.ones(len(y), np.float32)), class_weight="balanced", backend="numpy"
    )
    assert weighted.suggestion == find().suggestion


def test_data_on_disk_can_be_searched(tmp_path: Path) -> None:
    x, y = blobs()
    np.save(tmp_path / "x.npy", x)
    source = open_source(tmp_path / "x.npy")
    found = anynet.find_learning_rate(NETWORK, (source, y), resident=False, backend="numpy")
    assert 0.01 < found.suggestion < 1


def test_a_range_that_is_too_low_is_reported() -> None:
    with pytest.warns(UserWarning, match="raise high"):
        found = find(high=0.01)
    assert "raise high" in found.warning
    with pytest.raises(InvalidArgumentError, match="diverges at a learning rate of 1e"):
        find(low=1e29, high=9e29)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"low": 0}, "low"),
        ({"low": 1.0, "high": 0.1}, "low must be below high"),
        ({"high": float("inf")}, "high"),
        ({"steps": 5}, "steps"),
        ({"epochs": 3}, "epochs has no effect"),
        ({"learning_rate": 0.1}, "learning_rate has no effect"),
        ({"scoring": "loss"}, "scoring has no effect"),
    ],
)
def test_invalid_arguments_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        find(**options)


def test_the_plot_marks_the_suggestion_on_a_logarithmic_axis() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    found = find()
    axes = found.plot(figure.subplots())
    assert axes.get_xscale() == "log"
    assert any(line.get_xdata()[0] == found.suggestion for line in axes.lines)
    low, high = axes.get_ylim()
    assert low < found.smoothed.min() < found.smoothed[0] < high


def test_the_plot_has_a_title_unless_axes_are_given() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    found = find()
    axes = found.plot()
    assert axes.get_title()
    plt.close(axes.figure)
    axes = plt.Figure().subplots()
    axes.set_title("mine")
    assert found.plot(axes).get_title() == "mine"


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="needs ANYNET_DATA_DIR with MNIST")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_suggestion_trains_well_on_mnist(optimizer: str) -> None:
    data = anynet.load_dataset("mnist")
    network = anynet.mlp([784, 128, 64, 10], scale=data.scale)
    options: dict[str, Any] = {"optimizer": optimizer, "backend": "numpy"}
    rate = anynet.find_learning_rate(network, data.train, **options).suggestion
    model = anynet.fit(network, data.train, learning_rate=rate, epochs=10, **options)
    assert model.score(*data.test) > 0.96
