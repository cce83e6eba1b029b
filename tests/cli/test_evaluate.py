"""``anynet evaluate``: measures equal scikit-learn's, the worst errors are drawn."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics
from sklearn.calibration import calibration_curve

import anynet as library
from anynet.cli.label_report import LabelReport
from anynet.cli.reliability import BINS, Reliability
from anynet.cli.reports import Report
from anynet.cli.value_report import ValueReport

Command = Callable[..., Any]


def draw(rng: np.random.Generator, n_classes: int, rows: int = 400) -> tuple[Any, Any]:
    """Return classes, and probabilities that are better than chance."""
    true = rng.integers(0, n_classes, rows)
    likely = rng.dirichlet(np.ones(n_classes), rows) + 0.4 * np.eye(n_classes)[true]
    return true, likely / likely.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_measures_of_classes_match_scikit_learn(rng: np.random.Generator, n_classes: int) -> None:
    true, likely = draw(rng, n_classes)
    predicted = likely.argmax(axis=1)
    names = tuple(map(str, range(n_classes)))
    found = Report.of(true, predicted, names, likely).as_json()
    scores = metrics.precision_recall_fscore_support(true, predicted, zero_division=0)
    for at, name in enumerate(("precision", "recall", "f1", "rows")):
        np.testing.assert_allclose([each[name] for each in found["classes"]], scores[at])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(true, predicted)
    )
    assert found["log_loss"] == pytest.approx(metrics.log_loss(true, likely), rel=1e-5)
    area = metrics.roc_auc_score(
        true, likely[:, 1] if n_classes == 2 else likely, multi_class="ovr"
    )
    assert found["roc_auc"] == pytest.approx(area)
    squares = [metrics.brier_score_loss(true == at, likely[:, at]) for at in range(n_classes)]
    assert found["brier"] == pytest.approx(squares[1] if n_classes == 2 else sum(squares))
    matrix = metrics.confusion_matrix(true, predicted)
    np.testing.assert_array_equal(found["confusion"], matrix)


def test_the_bins_of_reliability_match_scikit_learn(rng: np.random.Generator) -> None:
    likely = np.concatenate([rng.random(500), np.arange(BINS + 1) / BINS])  # and all edges
    are_true = rng.random(len(likely)) < likely**2
    found = Reliability.of(likely, are_true)
    observed, predicted = calibration_curve(are_true, likely, n_bins=BINS)
    filled = found.rows > 0
    np.testing.assert_allclose(found.observed[filled], observed)
    np.testing.assert_allclose(found.predicted[filled], predicted)
    assert found.rows.sum() == len(likely)
    weights = found.rows[filled] / len(likely)
    assert found.error == pytest.approx(np.sum(weights * np.abs(observed - predicted)))
    assert [each["rows"] for each in found.as_json()] == found.rows[filled].tolist()


def test_calibrated_predictions_have_no_calibration_error(rng: np.random.Generator) -> None:
    likely = rng.random(100_000)
    assert Reliability.of(likely, rng.random(100_000) < likely).error < 0.01
    assert Reliability.of(np.full(10, 0.99), np.arange(10) < 5).error == pytest.approx(0.49)


def test_measures_of_labels_match_scikit_learn(rng: np.random.Generator) -> None:
    true = rng.random((300, 3)) < [0.2, 0.5, 0.7]
    true[:, 2] = True  # a label that does not vary has no ROC AUC
    likely = np.clip(0.6 * rng.random((300, 3)) + 0.4 * true, 0, 1)
    found = LabelReport(true, likely, ("a", "b", "c")).as_json()
    predicted = likely > 0.5
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert found["label_accuracy"] == pytest.approx(1 - metrics.hamming_loss(true, predicted))
    losses = [metrics.log_loss(true[:, at], likely[:, at], labels=[0, 1]) for at in range(3)]
    assert found["log_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["brier"] == pytest.approx(np.mean((likely - true) ** 2))
    area = metrics.roc_auc_score(true[:, :2], likely[:, :2], average="macro")
    assert found["roc_auc"] == pytest.approx(area)
    scores = metrics.precision_recall_fscore_support(true, predicted, zero_division=0)
    for at, name in enumerate(("precision", "recall", "f1", "rows")):
        np.testing.assert_allclose([each[name] for each in found["labels"]], scores[at])
    combinations = np.unique(true, axis=0, return_counts=True)[1]
    assert found["baseline_accuracy"] == combinations.max() / 300


def test_measures_of_values_match_scikit_learn(rng: np.random.Generator) -> None:
    true = 1000 * rng.standard_normal(200)
    predicted = true + 300 * rng.standard_normal(200)
    found = ValueReport(true, predicted, "y").as_json()
    assert found["r2"] == pytest.approx(metrics.r2_score(true, predicted))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, predicted))
    rmse = metrics.mean_squared_error(true, predicted) ** 0.5
    assert found["rmse"] == pytest.approx(rmse)


def test_mistakes_come_in_order_of_their_probability(rng: np.random.Generator) -> None:
    true, likely = draw(rng, 4)
    predicted = likely.argmax(axis=1)
    worst, count = Report.of(true, predicted, tuple("abcd"), likely).mistakes(10)
    assert count == np.sum(predicted != true)
    assert [one.size for one in worst] == sorted((one.size for one in worst), reverse=True)
    for one in worst:
        assert ("abcd"[true[one.row]], "abcd"[predicted[one.row]]) == (one.true, one.predicted)
        assert one.true != one.predicted
        assert one.size == likely[one.row].max()
    labels = np.eye(4, dtype=bool)[true]
    worst, count = LabelReport(labels, likely, tuple("abcd")).mistakes(1000)
    wrong = (likely > 0.5) != labels
    assert count == len(worst) == np.sum(wrong.any(axis=1))
    surest = np.abs(np.where(wrong, likely - 0.5, 0)).max(axis=1) + 0.5
    assert [one.size for one in worst] == pytest.approx(sorted(surest[wrong.any(axis=1)])[::-1])
    values = rng.standard_normal(50)
    worst, _ = ValueReport(np.zeros(50), values, "y").mistakes(3)
    assert [one.row for one in worst] == np.argsort(-np.abs(values))[:3].tolist()


def test_evaluate_draws_the_surest_errors_of_images(
    anynet: Command, digits_run: Any, digits: library.Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("evaluate", digits_run.folder, "--errors", 12, "--out", out)
    found = json.loads(anynet(*command, "--json").out)
    likely = library.load(digits_run.folder, backend="numpy").predict_proba(digits.test[0])
    predicted = likely.argmax(axis=1)
    wrong = np.flatnonzero(predicted != digits.test[1])
    expected = wrong[np.argsort(-likely[wrong, predicted[wrong]], kind="stable")][:12]
    assert [each["row"] for each in found["errors"]] == expected.tolist()
    assert found["dataset"] == "digits"
    assert found["files"] == ["confusion.png", "errors.png", "reliability.png"]
    assert sorted(path.name for path in out.iterdir()) == found["files"]
    for path in out.iterdir():
        with Image.open(path) as image:
            assert min(image.size) > 200
    before = (out / "errors.png").read_bytes()
    outcome = anynet(*command)
    assert outcome.code == 1
    assert "exists already" in outcome.err
    assert (out / "errors.png").read_bytes() == before


def test_without_errors_and_out_nothing_is_written(
    anynet: Command, digits_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert anynet("evaluate", digits_run.folder).code == 0
    assert list(tmp_path.iterdir()) == []
    outcome = anynet("evaluate", digits_run.folder, "digits", "--errors", 3)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("evaluate-digits-")
    assert str(folder.relative_to(tmp_path)) in outcome.out
    assert "the 3 of" in outcome.out


def test_the_data_of_the_run_are_the_default(
    anynet: Command, fails: Command, digits_run: Any, tmp_path: Path
) -> None:
    named = anynet("evaluate", digits_run.folder, "digits").out
    assert anynet("evaluate", digits_run.folder).out == named
    alone = tmp_path / "model.safetensors"
    alone.write_bytes((digits_run.folder / "model.safetensors").read_bytes())
    assert "name a DATASET" in fails("evaluate", alone)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a table with two targets: a noisy class and a noisy value."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    value = x @ [1, 2, 0] + 0.3 * rng.standard_normal(300)
    path = tmp_path_factory.mktemp("table") / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "value", "class"])
        for row, y in zip(x, value, strict=True):
            label = "yes" if y + rng.standard_normal() > 0 else "no"
            writer.writerow([*np.round(row, 4), round(y, 4), label])
    return path


@pytest.mark.parametrize("how", [("--preset", "fast", "--members", 2), ("--layers", 8)])
def test_errors_of_a_table_are_written_with_their_rows(
    anynet: Command, table: Path, tmp_path: Path, how: tuple[Any, ...]
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    common = ("--backend", "numpy", "--columns", "value=ignored", "--out", run)
    assert anynet("train", table, "--target", "class", *how, *common).code == 0
    found = json.loads(anynet("evaluate", run, "--errors", 4, "--out", out, "--json").out)
    assert found["scored"] == "rows that training held out"
    assert found["files"] == ["confusion.png", "errors.csv", "reliability.png"]
    rows = list(csv.DictReader((out / "errors.csv").read_text().splitlines()))
    lines = table.read_text().splitlines()
    for row, error in zip(rows, found["errors"], strict=True):
        assert int(row["line"]) == error["line"]
        assert row["predicted"] == error["predicted"] != row["class"] == error["true"]
        assert lines[error["line"] - 1].split(",")[-1] == row["class"]
        assert float(row["a"]) == float(lines[error["line"] - 1].split(",")[0])


def test_values_have_pictures_of_residuals(anynet: Command, table: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    common = ("--layers", 8, "--backend", "numpy", "--columns", "class=ignored", "--out", run)
    assert anynet("train", table, "--target", "value", *common).code == 0
    found = json.loads(anynet("evaluate", run, "--errors", 2, "--out", out, "--json").out)
    assert found["files"] == ["errors.csv", "predicted.png", "residuals.png"]
    errors = [abs(each["error"]) for each in found["errors"]]
    assert errors[0] >= errors[1] > found["mae"]


def test_models_of_labels_and_values_are_scored_on_arrays(
    anynet: Command, fails: Command, rng: np.random.Generator, tmp_path: Path
) -> None:
    x = rng.standard_normal((300, 4)).astype(np.float32)
    labels, values = (x[:, :2] > 0).astype(int), x[:, 0] - x[:, 1]
    for name, y, units in (("labels", labels, 2), ("values", values, 1)):
        network = library.mlp([4, 16, units])
        model = library.fit(network, (x[:200], y[:200]), epochs=5, backend="numpy")
        run, data = tmp_path / f"{name}.safetensors", tmp_path / f"{name}.npz"
        library.Ensemble([model, model]).save(run)
        np.savez(data, x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
        found = json.loads(anynet("evaluate", run, data, "--json", "--out", tmp_path / name).out)
        score = found["accuracy" if name == "labels" else "r2"]
        assert score == pytest.approx(model.score(x[200:], y[200:]))
        assert found["rows"] == 100
        assert anynet("evaluate", run, data).code == 0
        assert "file of arrays" in fails("evaluate", run, "digits")
        if name == "labels":
            assert [each["label"] for each in found["labels"]] == ["0", "1"]
