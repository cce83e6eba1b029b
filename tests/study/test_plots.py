"""Plots of studies: robust limits, marks of what lies outside, distinguishable points."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from anynet.study import plots
from anynet.study.plots import LOOKS, _limits, lower_limit
from anynet.study.summary import Summary


@pytest.fixture
def axes_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return a function that draws a plot and returns its axes."""
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "write", lambda figure, path: drawn.append(figure))  # noqa: ARG005

    def draw(name: str, summaries: list[Summary], title: str = "title") -> Any:
        plots.PLOTS[name][0](tmp_path / "x.png", summaries, title)
        (axes,) = drawn[-1].axes
        return axes

    return draw


def summaries_of(row, finals: list[list[float]]) -> list[Summary]:
    """Return a point of a learning rate for each list of accuracies, one for each seed."""
    points = []
    for at, accuracies in enumerate(finals):
        point = {"learning_rate": 0.01 * (at + 1)}
        rows = [row(seed, value, options=point) for seed, value in enumerate(accuracies)]
        points.append(Summary(point, tuple(rows)))
    return points


def test_axes_of_accuracies_end_close_to_0_and_1() -> None:
    bottom, top = _limits([0.9, 1.3], -0.5)
    assert -0.05 < bottom < 0
    assert 1 < top < 1.05


def test_limits_ignore_few_points_that_are_far_below() -> None:
    good = [0.95, 0.96, 0.97, 0.98, 0.98, 0.97]
    assert lower_limit(good) < 0.95
    assert lower_limit([*good, 0.1]) == lower_limit(good)
    assert lower_limit([0.979, 0.98, 0.981, 0.965]) < 0.965  # not far
    assert lower_limit([0.1, 0.9]) < 0.1  # half of all
    assert lower_limit([0.5]) < 0.5


def test_a_collapsed_run_is_marked_and_does_not_compress_the_curves(row, axes_of) -> None:
    finals = [[0.95, 0.951, 0.952], [0.97, 0.971, 0.1], [0.98, 0.981, 0.982]]
    axes = axes_of("curves", summaries_of(row, finals))
    low, high = axes.get_ylim()
    assert 0.9 < low < 0.95
    assert 0.982 < high < 1
    labels = axes.get_legend_handles_labels()[1]
    assert len(labels) == 4
    assert "0.1000" in labels[-1]
    assert "1 run " in labels[-1]


@pytest.mark.parametrize("name", ["accuracy", "time"])
def test_a_point_far_below_is_marked_with_its_value(row, axes_of, name: str) -> None:
    finals = [[0.95, 0.951], [0.96, 0.961], [0.97, 0.971], [0.98, 0.981], [0.25, 0.25]]
    axes = axes_of(name, summaries_of(row, finals))
    assert axes.get_ylim()[0] > 0.9
    assert [text.get_text() for text in axes.texts] == ["0.2500"]


def test_error_bars_are_explained_and_rates_have_a_logarithmic_axis(row, axes_of) -> None:
    finals = [[0.95, 0.951], [0.96, 0.961]]  # rates 0.01 and 0.02
    axes = axes_of("accuracy", summaries_of(row, finals), "Learning rate on $mnist$")
    assert axes.get_xscale() == "log"
    assert "standard deviation, 2 seeds" in axes.get_ylabel()
    assert axes.get_title(loc="left") == r"Learning rate on \$mnist\$"
    one = axes_of("time", summaries_of(row, [[0.9], [0.95]]))
    assert "one seed" in one.get_ylabel()


def test_points_differ_in_color_marker_and_line(row, axes_of) -> None:
    axes = axes_of("curves", summaries_of(row, [[0.9 + 0.01 * n] for n in range(9)]))
    lines, labels = axes.get_legend_handles_labels()
    assert len(labels) == len(LOOKS) == 8
    looks = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines]
    assert len({color for color, *_ in looks}) == len({marker for _, marker, _ in looks}) == 8
    assert all(one[2] != other[2] for one, other in pairwise(looks))
    assert axes.get_figure().legends  # outside the axes
    assert axes.get_legend() is None


def test_long_lists_of_points_are_marked_at_the_left(row, axes_of) -> None:
    points = [
        Summary({"decay": 0.9, "batch_size": size}, (row(0, value), row(1, value)))
        for size, value in ((32, 0.97), (64, 0.96), (128, 0.95), (256, 0.94), (512, 0.3))
    ]
    axes = axes_of("accuracy", points)
    assert axes.get_xlim()[0] > 0.9
    assert [text.get_text() for text in axes.texts] == ["0.3000"]
    assert np.all(np.diff(axes.get_yticks()) == -1)
