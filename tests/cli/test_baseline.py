"""Comparison with a model that ignores its inputs: scores, warnings, class weights, scoring."""

import csv
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import anynet as library
from anynet.cli import plots
from anynet.cli.reports import Report, class_warning
from anynet.cli.value_report import ValueReport

Command = Callable[..., Any]
QUICK = ("--layers", "16", "--epochs", "12", "--backend", "numpy", "--json")


def class_measures(true: Any, predicted: Any, likely: Any, n_classes: int) -> dict[str, float]:
    return Report.of(true, predicted, list(map(str, range(n_classes))), likely).beside


def test_measures_match_scikit_learn(rng) -> None:
    for n_classes in (2, 5):
        true = rng.integers(0, n_classes, 300)
        true[true == 1] *= rng.random(np.sum(true == 1)) < 0.5  # fewer samples of one class
        likely = rng.dirichlet(np.ones(n_classes), 300) + 0.5 * np.eye(n_classes)[true]
        likely /= likely.sum(axis=1, keepdims=True)
        predicted = likely.argmax(axis=1)
        measures = class_measures(true, predicted, likely, n_classes)
        assert measures["baseline_accuracy"] == np.mean(true == np.bincount(true).argmax())
        assert measures["balanced_accuracy"] == pytest.approx(
            balanced_accuracy_score(true, predicted)
        )
        wanted = roc_auc_score(true, likely[:, 1] if n_classes == 2 else likely, multi_class="ovr")
        assert measures["roc_auc"] == pytest.approx(wanted)


def test_measures_with_missing_or_many_classes(rng) -> None:
    one_class = class_measures([1, 1], [1, 0], np.eye(3)[[1, 0]], 3)
    assert (one_class["baseline_accuracy"], one_class["balanced_accuracy"]) == (1.0, 0.5)
    assert "roc_auc" not in one_class
    assert one_class["brier"] == 1.0
    assert 7 < one_class["log_loss"] < 9  # of a probability of 0, which counts as float32's epsilon
    two_of_three = class_measures([0, 0, 2], [0, 0, 2], np.eye(3)[[0, 0, 2]], 3)
    assert (two_of_three["balanced_accuracy"], two_of_three["roc_auc"]) == (1.0, 1.0)
    many = rng.integers(0, 10_000, 500)
    assert "roc_auc" not in class_measures(many, many, None, 10_000)
    assert class_measures([], [], None, 2) == {}


@pytest.mark.parametrize(
    ("true", "predicted", "weighted", "words"),
    [
        ([0, 0, 0, 1], [0, 0, 0, 0], False, "0.7500"),  # always the most frequent class
        ([0, 0, 0, 1], [1, 0, 0, 1], False, "0.7500"),  # not more correct rows
        ([0, 0, 0, 1], [0, 0, 0, 1], False, ""),
        ([0, 0, 0, 1], [1, 0, 0, 1], True, ""),  # the purpose of the weights
        ([0, 0, 0, 1], [0, 0, 0, 0], True, "0.5000"),
        ([0, 0, 0, 0], [0, 0, 0, 0], False, ""),  # all rows are equal
    ],
)
def test_a_model_no_better_than_the_baseline_is_reported(
    true: list[int], predicted: list[int], weighted: bool, words: str
) -> None:
    warning = Report.of(true, predicted, ("no", "yes")).warning(weighted=weighted)
    assert words in warning
    assert bool(warning) == bool(words)
    assert class_warning({"accuracy": 1.0}, 2, weighted=False) == ""


def test_a_regression_no_better_than_the_mean_is_reported() -> None:
    true = np.array([1.0, 2.0, 3.0])
    worse = ValueReport(true, np.array([3.0, 2.0, 1.0]), "y")
    assert "-3.0" in worse.warning()
    assert worse.measures()["baseline_rmse"] == pytest.approx(np.std(true))
    assert ValueReport(true, true + 0.1, "y").warning() == ""


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a table of 22 % positives that the columns hardly predict."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((800, 4))
    chance = 1 / (1 + np.exp(1.4 - 0.6 * x[:, 0]))
    y = np.where(rng.random(800) < chance, "yes", "no")
    path = tmp_path_factory.mktemp("rare") / "rare.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*"abcd", "y"])
        writer.writerows(
            [*np.round(row, 4).tolist(), label] for row, label in zip(x, y, strict=True)
        )
    return path


def test_train_and_evaluate_report_the_baseline(
    anynet: Command, rare: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trained = anynet("train", rare, "--target", "y", *QUICK, "--out", run)
    result = json.loads(trained.out)
    scores = json.loads(anynet("evaluate", run, rare, "--json").out)
    for name in ("accuracy", "baseline_accuracy", "balanced_accuracy", "roc_auc"):
        assert result[f"test_{name}"] == pytest.approx(scores[name])
    about = tomllib.loads((run / "config.toml").read_text())["about"]
    assert about["test_balanced_accuracy"] == result["test_balanced_accuracy"]
    assert 0.7 < result["test_baseline_accuracy"] < 0.85
    poor = result["test_accuracy"] <= result["test_baseline_accuracy"]
    assert poor == ("most frequent class" in result["warning"])
    outcome = anynet("evaluate", run, rare)
    assert poor == ("anynet: warning: accuracy" in outcome.err)
    assert f"{scores['balanced_accuracy']:.4f}" in outcome.out
    assert f"{scores['roc_auc']:.4f}" in outcome.out


def test_class_weights_and_scoring_are_stored_in_the_run(
    anynet: Command, rare: Path, tmp_path: Path
) -> None:
    run, options = tmp_path / "run", ("--class-weight", "balanced", "--scoring", "roc_auc")
    result = json.loads(anynet("train", rare, "--target", "y", *QUICK, *options, "--out", run).out)
    assert result["test_balanced_accuracy"] > 0.55
    history = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    scores = [float(each["validation_roc_auc"]) for each in history]
    assert result["best_epoch"] == np.argmax(scores) + 1
    again = anynet("train", "--config", run / "config.toml", "--json", "--out", tmp_path / "again")
    repeated = json.loads(again.out)
    assert repeated["best_epoch"] == result["best_epoch"]
    assert repeated["test_roc_auc"] == result["test_roc_auc"]
    assert library.load(run, backend="numpy").metadata["class_weight"] == "balanced"


def test_checkpoints_store_class_weights_and_scoring(
    anynet: Command, rare: Path, tmp_path: Path
) -> None:
    options = ("--class-weight", "yes=3.5", "--scoring", "balanced_accuracy", "--target", "y")
    for name, epochs in (("whole", "9"), ("begun", "6")):
        arguments = (*QUICK[:2], "--epochs", epochs, "--backend", "numpy", "--patience", "9")
        every = ("--checkpoint-every", "1", "--out", tmp_path / name)
        assert anynet("train", rare, *options, *arguments, *every).code == 0
    whole, begun = (
        list(csv.DictReader((tmp_path / name / "history.csv").read_text().splitlines()))
        for name in ("whole", "begun")
    )
    assert len(begun) == 6
    for one, other in zip(whole, begun, strict=False):
        assert one | {"seconds": ""} == other | {"seconds": ""}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--class-weight", "yess=3"), "'yess'; did you mean 'yes'?"),
        (("--scoring", "rocauc"), "did you mean 'roc_auc'?"),
        (("--scoring", "roc_auc", "--validation", "0"), "--validation must be at least 1"),
    ],
)
def test_invalid_options_are_errors(
    fails: Command, rare: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    run = tmp_path / "run"
    assert words in fails("train", rare, "--target", "y", *QUICK, *options, "--out", run)
    assert not run.exists()


def test_the_confusion_of_a_constant_prediction_looks_as_weak_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shades are shares of the true class on a linear scale, whatever the class is worth."""
    figures: list[Any] = []
    monkeypatch.setattr(plots, "write", lambda figure, path: figures.append(figure))  # noqa: ARG005
    report = Report.of([0] * 90 + [1] * 10, [0] * 99 + [1], ("no", "yes"))
    plots.save_confusion(tmp_path / "a.png", report, "test rows")
    axes, bar = figures[0].axes
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array(), [[1, 0], [0.9, 0.1]])
    np.testing.assert_allclose(image.norm([0.1, 0.5, 1]), [0.1, 0.5, 1])
    assert [text.get_text() for text in axes.texts] == [
        "90\n100.0%",
        "0\n0.0%",
        "9\n90.0%",
        "1\n10.0%",
    ]
    assert "most frequent class: 0.9000" in axes.get_title()
    assert "true class" in bar.get_ylabel()
