"""Presets on the command line: the default of tables, their run folder, and its commands."""

import csv
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import anynet as library
from anynet.cli import main
from anynet.cli.progress import PresetBar
from anynet.cli.reports import Report
from anynet.training import PopulationProgress

Command = Callable[..., Any]

N = 120
QUICK = ("--members", 2, "--backend", "numpy", "--quiet")


def write(path: Path, rows: list[list[Any]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def houses() -> list[list[Any]]:
    """Draw houses; the price depends on the size, and whether one is sold on the town."""
    rng = np.random.default_rng(0)
    rows: list[list[Any]] = [["size", "town", "sold", "price"]]
    for _ in range(N):
        size, town = round(float(rng.uniform(20, 200)), 1), str(rng.choice(["Ulm", "Bonn"]))
        sold = "yes" if (town == "Ulm") != (rng.random() < 0.1) else "no"
        rows.append([size, town, sold, round(1000 * size + float(rng.normal()))])
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a read-only folder with a table, and runs of classes and of values."""
    place = tmp_path_factory.mktemp("presets")
    table = write(place / "houses.csv", houses())
    for target in ("sold", "price"):
        arguments = ["train", table, "--target", target, *QUICK, "--out", place / target]
        assert main([str(argument) for argument in arguments]) == 0
    return place


def test_the_run_folder_of_a_preset(place: Path) -> None:
    for target in ("sold", "price"):
        config = tomllib.loads((place / target / "config.toml").read_text())
        assert (config["preset"], config["members"], config["validation"]) == ("fast", 2, 0.2)
        assert not {"epochs", "layers", "optimizer"} & set(config)
        assert config["about"]["preset"]["n_members"] == 2
        ensemble = library.load(place / target, "numpy")
        assert len(ensemble.models) == 2
        with (place / target / "history.csv").open() as file:
            members = [row["member"] for row in csv.DictReader(file)]
        assert set(members) == {"0", "1"}
        assert (place / target / "curves.png").exists()


def test_options_of_a_single_network_train_one(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    train = ("train", place / "houses.csv", "--target", "sold", "--backend", "numpy")
    outcome = anynet(*train, "--layers", 8, "--epochs", 2, "--out", tmp_path / "run")
    assert outcome.code == 0
    assert "a single network" in outcome.out
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert "preset" not in config
    assert (config["layers"], config["scoring"]) == ([8], "loss")
    assert isinstance(library.load(tmp_path / "run", "numpy"), library.Model)
    assert "preset fast" in anynet(*train, "--members", 1, "--out", tmp_path / "other").out
    limit = ("--time-limit", 0.001)
    assert "preset auto" in anynet(*train, *limit, "--out", tmp_path / "third").out


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--preset", "fast", "--epochs", 3), ("--preset", "--epochs")),
        (("--members", 3, "--layers", 8), ("--members", "--layers")),
        (("--preset", "auto", "--members", 3), ("--members", "--preset fast")),
        (("--validation", 0), ("--validation 0",)),
        (("--validation", 96), ("--validation 96", "nothing to train on")),
        (("--preset", "auto", "--layers", 5), ("--layers cannot be combined with --preset",)),
        (("--eval-metric", "auc"), ("'auc'", "did you mean")),
    ],
)
def test_invalid_options_are_errors(
    fails: Command, place: Path, tmp_path: Path, options: tuple[Any, ...], facts: tuple[str, ...]
) -> None:
    train = ("train", place / "houses.csv", "--target", "sold", "--backend", "numpy", "--quiet")
    message = fails(*train, *options, "--out", tmp_path / "run")
    assert all(fact in message for fact in facts), message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "fact"), [(("--preset", "fats"), "did you mean 'fast'"), (("--members", 0), "1")]
)
def test_invalid_values_are_usage_errors(
    fails: Command, place: Path, options: tuple[Any, ...], fact: str
) -> None:
    assert fact in fails("train", place / "houses.csv", "--target", "sold", *options, code=2)


def test_presets_are_for_tables(fails: Command) -> None:
    assert "--members is an option of tables" in fails("train", "digits", "--members", 3)


def test_the_measures_of_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for n_classes in (2, 4):
        true = np.arange(60) % n_classes
        likely = rng.dirichlet(np.ones(n_classes), 60)
        measures = Report.of(true, likely.argmax(1), tuple("abcd"[:n_classes]), likely).measures()
        area = roc_auc_score(true, likely[:, 1] if n_classes == 2 else likely, multi_class="ovr")
        assert measures["roc_auc"] == pytest.approx(area)
        assert measures["log_loss"] == pytest.approx(log_loss(true, likely))
        squares = np.sum((likely - np.eye(n_classes)[true]) ** 2, axis=1).mean()
        if n_classes == 2:
            assert measures["brier"] == pytest.approx(brier_score_loss(true, likely[:, 1]))
        else:
            assert measures["brier"] == pytest.approx(squares)


def test_the_json_of_a_run_is_complete_and_repeatable(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    for target, names in {
        "sold": ("accuracy", "log_loss", "brier", "roc_auc"),
        "price": ("r2", "rmse"),
    }.items():
        config = place / target / "config.toml"
        first = tomllib.loads(config.read_text())["about"]
        again = json.loads(
            anynet("train", "--config", config, "--json", "--out", tmp_path / target).out
        )
        for name in names:
            assert again[f"test_{name}"] == first[f"test_{name}"]
        assert (again["members"], again["best_epoch"]) == (2, first["best_epoch"])
    assert first["test_r2"] > 0.9


def test_predictions_and_scores_of_an_ensemble(anynet: Command, place: Path) -> None:
    table = library.read_table(place / "houses.csv")
    for target in ("sold", "price"):
        answers = json.loads(anynet("predict", place / target, place / "houses.csv", "--json").out)
        ensemble = library.load(place / target, "numpy")
        expected = ensemble.predict(table)
        if target == "sold":
            assert [each["class"] for each in answers] == expected.tolist()
        else:
            np.testing.assert_allclose([each["value"] for each in answers], expected, rtol=1e-6)
        about = tomllib.loads((place / target / "config.toml").read_text())["about"]
        scored = json.loads(anynet("evaluate", place / target, place / "houses.csv", "--json").out)
        metric = "accuracy" if target == "sold" else "r2"
        assert scored[metric] == pytest.approx(about[f"test_{metric}"], rel=1e-6)
        assert "held out" in scored["scored"]


def test_an_ensemble_is_exported_as_one_graph(
    anynet: Command, fails: Command, place: Path, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    table = library.read_table(place / "houses.csv")
    for target, output in {"sold": "probabilities", "price": "value"}.items():
        out = tmp_path / f"{target}.onnx"
        assert anynet("export", place / target, "--format", "onnx", "--out", out).code == 0
        ensemble = library.load(place / target, "numpy")
        x = library.Preprocessing.of(ensemble).transform(table)
        found = onnxruntime.InferenceSession(out).run([output], {"x": x})[0]
        expected = np.asarray(ensemble.predict_mean(x)).reshape(found.shape)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    message = fails(
        "export", place / "sold", "--format", "torch", "--out", tmp_path / "x.safetensors"
    )
    assert "ensemble of 2" in message


def test_without_test_rows_there_is_no_test_score(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    train = ("train", place / "houses.csv", "--target", "price", "--backend", "numpy")
    for name, options in {"preset": ("--members", 2), "single": ("--epochs", 3)}.items():
        run = tmp_path / name
        outcome = anynet(*train, "--test", 0, *options, "--out", run)
        assert outcome.code == 0
        assert f"{N} rows to train on" in outcome.out or f"{N - N // 5} rows" in outcome.out
        assert "no test score" in outcome.out
        config = tomllib.loads((run / "config.toml").read_text())
        assert config["test"] == 0
        assert not [fact for fact in config["about"] if fact.startswith("test_")]
        assert "on which it was trained" in anynet("evaluate", run, place / "houses.csv").out


@pytest.mark.parametrize("target", ["sold", "price"])
def test_an_interrupted_run_resumes_with_the_same_result(
    anynet: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    def pressed(_: Any, progress: Any) -> None:
        if progress.epoch == 5:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    train = ("train", place / "houses.csv", "--target", target, *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(PresetBar, "live", True)
        patch.setattr(PresetBar, "update", pressed)
        stopped = anynet(*train, "--checkpoint-every", 2, "--out", run)
    assert stopped.code == 130
    assert f"anynet resume {run} continues it" in stopped.err
    assert "--epochs" in anynet("resume", run, "--epochs", 9).err
    assert anynet("resume", run).code == 0
    found, expected = (library.load(path, "numpy") for path in (run, place / target))
    for one, other in zip(found.models, expected.models, strict=True):
        for left, right in zip(one.params, other.params, strict=True):
            assert all(np.array_equal(left[name], right[name]) for name in left)
    history = (run / "history.csv").read_text().splitlines()
    assert [line.rsplit(",", 1)[0] for line in history] == [
        line.rsplit(",", 1)[0] for line in (place / target / "history.csv").read_text().splitlines()
    ]


def test_an_interrupted_run_without_checkpoints_keeps_the_best_networks(
    anynet: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(_: Any, progress: Any) -> None:
        if progress.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(PresetBar, "live", True)
    monkeypatch.setattr(PresetBar, "update", pressed)
    train = ("train", place / "houses.csv", "--target", "sold", *QUICK)
    stopped = anynet(*train, "--out", tmp_path / "run")
    assert stopped.code == 130
    assert "interrupted: " in stopped.err
    assert "--checkpoint-every" in stopped.err
    assert len(library.load(tmp_path / "run", "numpy").models) == 2


def test_the_bar_shows_networks_epochs_score_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = PresetBar(time_limit=60)
    progress = PopulationProgress(2, 3, 5, 4, 7, 100, "loss", 0.25)
    bar.update(progress)
    assert capsys.readouterr().err == ""  # not a terminal
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar.update(progress)
    bar.close()
    shown = capsys.readouterr().err
    for fact in ("7/100", "group 2/3", "4 of 5", "loss 0.2500", "s left"):
        assert fact in shown


def test_a_time_limit_ends_training_after_an_epoch(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    train = ("train", place / "houses.csv", "--target", "sold", *QUICK, "--time-limit", 0.001)
    result = json.loads(anynet(*train[:-3], "--json", *train[-2:], "--out", tmp_path / "run").out)
    assert result["epochs"] == 1


def test_a_small_table_and_one_without_numbers_are_trained(anynet: Command, tmp_path: Path) -> None:
    rows = houses()
    small = write(tmp_path / "small.csv", rows[:31])
    words = write(tmp_path / "words.csv", [row[1:3] for row in rows])
    for table in (small, words):
        run = anynet("train", table, "--target", "sold", *QUICK, "--out", tmp_path / table.stem)
        assert run.code == 0, run


def test_files_without_a_header(anynet: Command, fails: Command, tmp_path: Path) -> None:
    rows = houses()
    bare = write(tmp_path / "bare.csv", rows[1:])
    run = ("--no-header", *QUICK, "--out", tmp_path / "run")
    outcome = anynet("train", bare, "--target", "column 4", *run)
    assert outcome.code == 0, outcome
    answers = anynet("predict", tmp_path / "run", bare, "--no-header", "--json")
    assert answers.err == ""
    assert len(json.loads(answers.out)) == N
    assert "column 1" in fails("predict", tmp_path / "run", bare)


@pytest.mark.parametrize("header", [True, False])
def test_names_that_look_like_data_and_data_that_look_like_names_are_reported(
    tmp_path: Path, header: bool
) -> None:
    rows = houses()
    path = write(tmp_path / "t.csv", rows[1:] if header else rows)
    notes = library.read_table(path, header=header).notes
    assert any("look" in note for note in notes)
    path = write(tmp_path / "sound.csv", rows if header else rows[1:])
    assert library.read_table(path, header=header).notes == ()


def test_validation_rows_of_tables_are_stratified() -> None:
    from anynet.data.subset import stratified_split

    y = np.repeat([0, 1, 2], [70, 20, 10])
    kept, held_out = stratified_split(y, 20, seed=1)
    assert np.bincount(y[held_out]).tolist() == [14, 4, 2]
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(100))
    assert not np.array_equal(held_out, stratified_split(y, 20, seed=2)[1])
    values = np.random.default_rng(0).permutation(np.arange(100.0))
    assert abs(values[stratified_split(values, 10, seed=0)[1]].mean() - values.mean()) < 6
