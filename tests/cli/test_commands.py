"""Other commands, and properties of all commands: exit codes, one-line errors, pipes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anynet as library
from anynet.cli import PACKAGES
from anynet.cli.options import OPTIMIZERS, schedule_names
from anynet.cli.reports import Report, table
from anynet.nn import ACTIVATIONS

Command = Callable[..., Any]


def test_evaluate_agrees_with_train(anynet: Command, digits_run: Any) -> None:
    for run in (digits_run.folder, digits_run.folder / "model.safetensors"):
        outcome = anynet("evaluate", run, "digits", "--json")
        scores = json.loads(outcome.out)
        assert scores["accuracy"] == digits_run.result["test_accuracy"]
        assert scores["rows"] == np.sum(scores["confusion"]) == 359
        assert [each["class"] for each in scores["classes"]] == list("0123456789")
    text = anynet("evaluate", digits_run.folder, "digits", "--dtype", "float64").out
    assert text.startswith("digits: accuracy 0.")
    assert "precision" in text


def test_evaluate_reports_precision_and_recall() -> None:
    report = Report.of([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], ("a", "b", "c"))
    assert report.counts.tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(report.precision, [2 / 4, 1 / 2, 0])
    np.testing.assert_allclose(report.recall, [2 / 3, 1 / 2, 0])
    assert report.accuracy == 0.5


def test_table_columns_are_aligned() -> None:
    assert table([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc   d"


def test_evaluating_incompatible_data_is_an_error(
    fails: Command, digits_run: Any, tmp_path: Path
) -> None:
    own = tmp_path / "own.npz"
    np.savez(own, x_train=np.eye(40), y_train=np.arange(40) % 2)
    message = fails("evaluate", digits_run.folder, own)
    assert "has 64 features and 10 classes, but own has 40 features and 2 classes" in message
    assert "no model" in fails("evaluate", tmp_path, "digits")
    assert "cannot be read as a model" in fails("evaluate", own, "digits")


def test_predict_on_a_drawing_matches_the_model(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    model = library.load(digits_run.folder / "model.safetensors", backend="numpy")
    x = library.load_dataset("digits").test[0][:20]
    likely = np.asarray(model.predict_proba(x))
    paths = []
    for number, row in enumerate(x):
        shades = np.round(row.reshape(8, 8) * (255 / 16)).astype(np.uint8)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(255 - shades if number % 2 else shades).save(paths[-1])
    answers = json.loads(anynet("predict", digits_run.folder, *paths, "--json").out)
    assert [answer["file"] for answer in answers] == [str(path) for path in paths]
    assert [answer["class"] for answer in answers] == [str(k) for k in likely.argmax(axis=1)]
    found = [answer["probability"] for answer in answers]
    np.testing.assert_allclose(found, likely.max(axis=1), atol=0.05)  # PNG has 8 bits per pixel


def test_predict_on_arrays_matches_the_model_exactly(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    model = library.load(digits_run.folder / "model.safetensors", backend="numpy")
    x = library.load_dataset("digits").test[0][:20]
    np.save(tmp_path / "rows.npy", x)
    np.save(tmp_path / "stack.npy", x.reshape(-1, 8, 8))
    files = tmp_path / "rows.npy", tmp_path / "stack.npy"
    answers = json.loads(anynet("predict", digits_run.folder, *files, "--json", "--top", 3).out)
    assert [answer["index"] for answer in answers] == [*range(20)] * 2
    likely = np.tile(model.predict_proba(x), (2, 1))
    for answer, row in zip(answers, likely, strict=True):
        order = np.argsort(-row, kind="stable")[:3]
        assert [each["class"] for each in answer["top"]] == [str(k) for k in order]
        found = [each["probability"] for each in answer["top"]]
        np.testing.assert_allclose(found, row[order], atol=1e-6)


def test_predict_prints_a_table(anynet: Command, digits_run: Any, tmp_path: Path) -> None:
    shades = np.zeros((50, 60), dtype=np.uint8)
    shades[10:40, 28:33] = 255
    Image.fromarray(shades).save(tmp_path / "one.jpg")
    code, out, err = anynet("predict", digits_run.folder, tmp_path / "one.jpg", "--top", 2)
    assert (code, err) == (0, "")
    header, line = out.splitlines()
    assert header.split()[:2] == ["file", "index"]
    assert header.index("probability 2") > header.index("class 2") > header.index("probability 1")
    words = line.split()
    assert words[:2] == [str(tmp_path / "one.jpg"), "0"]
    assert 0 <= float(words[5]) <= float(words[3]) <= 1


def test_predict_reports_invalid_files_and_continues(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "good.npy", np.eye(8))
    (tmp_path / "bad.npy").write_text("hello")
    files = tmp_path / "bad.npy", tmp_path / "good.npy"
    code, out, err = anynet("predict", digits_run.folder, *files)
    header, line = out.splitlines()
    assert (code, header.split()) == (1, ["file", "index", "class", "probability"])
    assert line.startswith(str(tmp_path / "good.npy"))
    assert err.startswith("anynet: error: ")
    assert err.count("\n") == 1
    assert "bad.npy" in err
    code, out, err = anynet("predict", digits_run.folder, *files, "--json")
    assert code == 1
    assert [answer["file"] for answer in json.loads(out)] == [str(tmp_path / "good.npy")]
    assert "bad.npy" in err


def test_an_image_without_a_digit_does_not_discard_the_other_predictions(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    x = library.load_dataset("digits").test[0][:3].reshape(-1, 8, 8)
    x[1] = 3
    np.save(tmp_path / "x.npy", x)
    code, out, err = anynet("predict", digits_run.folder, tmp_path / "x.npy", "--json")
    answers = json.loads(out)
    assert code == 1
    assert [answer["index"] for answer in answers] == [0, 1, 2]
    assert [answer["class"] is None for answer in answers] == [False, True, False]
    assert answers[1]["top"] == []
    assert not answers[1]["certain"]
    assert "image 1: the image is blank" in answers[1]["error"]
    assert err == f"anynet: error: {answers[1]['error']}\n"
    lines = anynet("predict", digits_run.folder, tmp_path / "x.npy").out.splitlines()
    assert [line.split()[1] for line in lines] == ["index", "0", "2"]


def test_uncertain_predictions_are_marked(anynet: Command, digits_run: Any, tmp_path: Path) -> None:
    model = library.load(digits_run.folder / "model.safetensors", backend="numpy")
    x = library.load_dataset("digits").test[0]
    likely = np.asarray(model.predict_proba(x)).max(axis=1)
    x = x[[likely.argmin(), likely.argmax()]]
    assert likely.min() < 0.5 < likely.max()
    np.save(tmp_path / "x.npy", x)
    run = digits_run.folder, tmp_path / "x.npy"
    answers = json.loads(anynet("predict", *run, "--json").out)
    assert [answer["certain"] for answer in answers] == [False, True]
    classes = [line.split()[2] for line in anynet("predict", *run).out.splitlines()[1:]]
    assert [word.endswith("?") for word in classes] == [True, False]


def test_predict_errors_contain_the_file_name(
    fails: Command, digits_run: Any, tmp_path: Path
) -> None:
    Image.new("L", (20, 20), 255).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("hello\nworld")
    assert "blank.png: the image is blank" in fails(
        "predict", digits_run.folder, tmp_path / "blank.png"
    )
    assert "text.png: not a PNG" in fails("predict", digits_run.folder, tmp_path / "text.png")
    assert "No such file" in fails("predict", digits_run.folder, tmp_path / "absent.png")


@pytest.mark.parametrize(
    "image",
    [{}, {"shape": [8]}, {"shape": [8, 9], "box": 8}, {"shape": [8, 8], "box": 99}, 3],
)
def test_predict_with_invalid_metadata_is_an_error(
    fails: Command, digits_run: Any, tmp_path: Path, image: Any
) -> None:
    model = library.load(digits_run.folder / "model.safetensors", backend="numpy")
    model.metadata["image"] = image
    model.save(tmp_path / "odd.safetensors")
    Image.new("L", (20, 20)).save(tmp_path / "x.png")
    message = fails("predict", tmp_path / "odd.safetensors", tmp_path / "x.png")
    assert "invalid metadata of the model on its images" in message


def test_commands_for_classifiers_reject_regression_models(fails: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = library.fit(library.mlp([2, 1]), (rng.random((9, 2)), rng.random(9)), epochs=1)
    model.save(tmp_path / "values.safetensors")
    message = fails("evaluate", tmp_path / "values.safetensors", "digits")
    assert "predicts values" in message


def test_backends_lists_every_library(anynet: Command) -> None:
    entries = json.loads(anynet("backends", "--json").out)
    assert [entry["name"] for entry in entries] == ["numpy", "cupy", "torch", "jax"]
    assert entries[0]["usable"] is True
    lines = anynet("backends").out.splitlines()
    header = ["backend", "usable", "version", "devices", "threads", "memory", "why"]
    assert lines[0].split() == header
    assert entries[0]["threads"] >= 1
    assert lines[1].split()[:3] == ["numpy", "yes", np.__version__]


def test_datasets_list_prints_every_data_set(anynet: Command, tmp_path: Path) -> None:
    entries = json.loads(anynet("datasets", "--json", "--data-dir", tmp_path).out)
    here = {entry["name"]: entry["here"] for entry in entries}
    assert here["digits"] is True
    assert here["mnist"] is False
    assert anynet("datasets").out == anynet("datasets", "list").out


def test_datasets_verify_reports_each_file(anynet: Command, fails: Command, tmp_path: Path) -> None:
    assert anynet("datasets", "verify", "digits").code == 0
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"no IDX")
    code, out, _ = anynet("datasets", "verify", "mnist", "--data-dir", tmp_path)
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["damaged", *["absent"] * 3]
    assert "did you mean 'mnist'" in fails("datasets", "verify", "mnits")


def test_datasets_fetch_downloads_files(anynet: Command, fails: Command, tmp_path: Path) -> None:
    assert anynet("datasets", "fetch", "digits").out.startswith("digits is in ")
    assert "ANYNET_CACHE_DIR" in fails("datasets", "fetch", "mnist", "--data-dir", tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["train"],
        ["train", "digits", "more"],
        ["train", "digits", "--layers", "128,x"],
        ["train", "digits", "--epochs", "-3"],
        ["train", "digits", "--epochs", "1.5"],
        ["train", "digits", "--dropout", "nan"],
        ["train", "digits", "--optimizer", "sdg"],
        ["train", "digits", "--batch", "3"],
        ["evaluate"],
        ["predict", "run"],
        ["predict", "run", "file", "--top", "0"],
        ["datasets", "list", "mnist"],
        ["datasets", "fetch"],
        ["datasets", "burn", "mnist"],
    ],
)
def test_usage_errors_exit_with_code_2(fails: Command, arguments: list[str]) -> None:
    assert fails(*arguments, code=2).endswith("--help)\n")


def test_usage_errors_contain_the_expected_value(fails: Command) -> None:
    error = fails("train", "digits", "--layers", "128,x", code=2)
    assert error.startswith("anynet: error: argument --layers: ")
    for fact in ("at least 1", "such as 128,64", "'128,x'", "(see anynet train --help)\n"):
        assert fact in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "digits", "--epoch", "3"], "did you mean '--epochs'? (see anynet train --help)"),
        (["train", "digits", "--learning-rat=1"], "did you mean '--learning-rate'?"),
        (["train", "digits", "--activation", "rely"], "not 'rely'; did you mean 'relu'?"),
        (["predict", "run", "file", "--topp", "3"], "did you mean '--top'?"),
        (["trian", "digits"], "did you mean 'train'? (see anynet --help)"),
        (["study", "deepth", "digits"], "did you mean 'depth'? (see anynet study --help)"),
        (["study", "depth", "digits", "--joblib", "daks"], "did you mean 'dask'?"),
        (["study", "depth", "digits", "--joblib", "xyz"], "'ray') (see anynet study depth --help)"),
        (["train", "digits", "--xyz"], "unrecognized arguments: --xyz (see"),
    ],
)
def test_misspelt_words_suggest_the_nearest_one(
    fails: Command, arguments: list[str], message: str
) -> None:
    assert message in fails(*arguments, code=2)


def test_the_help_lists_all_values(anynet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # avoids line breaks at a hyphen
    message = " ".join(anynet("train", "--help").out.split())
    for names in ((*ACTIVATIONS, "scaled_tanh"), OPTIMIZERS, schedule_names()):
        assert f": {', '.join(names)} (default: " in message


def test_version_and_help_exit_with_code_0(anynet: Command) -> None:
    assert anynet("--version") == (0, f"anynet {library.__version__}\n", "")
    for command in ("train", "evaluate", "predict", "export", "backends", "datasets"):
        code, out, err = anynet(command, "--help")
        assert (code, err) == (0, "")
        assert out.startswith(f"usage: anynet {command}")


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that imports this anynet."""
    environment = os.environ | {"PYTHONPATH": str(Path(library.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize("package", ["matplotlib", "tqdm", "PIL", "tomli_w", "sklearn"])
def test_a_missing_extra_is_an_error_with_the_install_command(tmp_path: Path, package: str) -> None:
    done = python(
        f"import sys\nsys.modules['{package}'] = None\nfrom anynet.cli import main\n"
        f"sys.exit(main(['train', 'digits', '--out', '{tmp_path / 'run'}']))"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"pip install {PACKAGES[package]}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_heavy_library() -> None:
    heavy = "matplotlib PIL tqdm tomli_w sklearn scipy torch jax cupy"
    done = python(
        "import sys\nfrom anynet.cli import main\nmain(['--help'])\n"
        f"sys.exit(' '.join(set('{heavy}'.split()) & set(sys.modules)))"
    )
    assert done.stderr == "\n"


def test_a_closed_pipe_is_not_an_error() -> None:
    done = python(
        "import os, sys\nfrom anynet.cli import main\nreader, writer = os.pipe()\n"
        "os.close(reader)\nos.dup2(writer, 1)\nsys.exit(main(['datasets']))"
    )
    assert (done.returncode, done.stderr) == (141, "")
