"""Display of histories and models: summaries, tables, plots, HTML."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import anynet

mpl.use("Agg")
X = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


@pytest.fixture(scope="module")
def model() -> anynet.Model:
    network = anynet.mlp([4, 8, 2], batch_norm=True, dropout=0.1)
    return anynet.fit(network, (X, Y), validation=20, epochs=3, backend="numpy")


def test_summary_has_a_line_per_layer_and_the_number_of_parameters(model: anynet.Model) -> None:
    lines = model.summary().splitlines()
    assert len(lines) == 2 + len(model.network.layers)
    assert lines[1].split()[0] == "dense"
    assert lines[1].endswith("40")  # 4 · 8 weights and 8 biases
    assert model.n_parameters == 40 + 16 + 18
    assert "74 parameters" in lines[-1]


def test_summary_marks_frozen_layers() -> None:
    network = anynet.mlp([4, 8, 2]).freeze([0])
    model = anynet.fit(network, (X, Y), epochs=1, backend="numpy")
    assert "dense (frozen)" in model.summary()


def test_history_converts_to_columns_and_to_a_data_frame(model: anynet.Model) -> None:
    columns = model.history.to_dict()
    assert columns["epoch"] == [1, 2, 3]
    assert columns["validation_accuracy"] == [r.validation_score for r in model.history.records]
    pandas = pytest.importorskip("pandas")
    frame = model.history.to_pandas()
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(columns))


def test_history_plots_losses_and_scores(model: anynet.Model) -> None:
    from matplotlib import pyplot as plt

    axes = model.history.plot()
    losses = [line.get_ydata().tolist() for line in axes.get_lines()]
    columns = model.history.to_dict()
    assert losses == [columns["train_loss"], columns["validation_loss"]]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        *("train loss", "validation loss", "train accuracy", "validation accuracy")
    }
    _, mine = plt.subplots()
    assert model.history.plot(mine) is mine
    plt.close("all")


def test_descriptions_are_short_and_escaped_in_html(model: anynet.Model) -> None:
    shown = repr(model.history)
    assert len(shown.splitlines()) <= 12
    assert "best epoch" in shown
    assert "<table>" in model._repr_html_()
    assert "74" in model._repr_html_()
    history = anynet.History("accuracy", stopped="<b>")
    assert "&lt;b&gt;" in history._repr_html_()
