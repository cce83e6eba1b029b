"""``anynet explain``: tables, single columns, images, pictures, other samples, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as package
from anynet.cli import main
from anynet.cli.example import photo

PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table with missing values, and a run on it."""
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(3)
    size, noise = rng.normal(size=300).round(2), rng.normal(size=300).round(2)
    kind = rng.choice(["a", "b", "c"], 300)
    sold = np.where(size + 2 * (kind == "b") > 1, "yes", "no")
    cells = ["" if at % 25 == 0 else str(value) for at, value in enumerate(size)]
    lines = [",".join(map(str, row)) for row in zip(cells, noise, kind, sold, strict=True)]
    (folder / "t.csv").write_text("\n".join(["size,noise,kind,sold", *lines]))
    new = "\n".join(["size,noise,kind", *(line.rpartition(",")[0] for line in lines[:9])])
    (folder / "new.csv").write_text(new)
    how = ["--members", "2", "--backend", "numpy", "--quiet", "--out", str(folder / "run")]
    assert main(["train", str(folder / "t.csv"), "--target", "sold", *how]) == 0
    return folder


def answer(anynet: Any, *arguments: Any) -> dict[str, Any]:
    outcome = anynet("explain", *arguments, "--json")
    assert outcome.code == 0, outcome
    found: dict[str, Any] = json.loads(outcome.out, parse_constant=pytest.fail)
    assert Path(found["picture"]).read_bytes().startswith(PNG)
    return found


def test_columns_of_a_table(anynet: Any, table: Path) -> None:
    found = answer(anynet, table / "run", table / "t.csv")
    assert found["picture"] == "explain-t.png"
    assert {each["column"] for each in found["columns"]} == {"size", "noise", "kind"}
    assert found["columns"][-1]["column"] == "noise"
    low, high = found["columns"][-1]["interval"]
    assert low <= 0 <= high
    assert found["columns"][0]["interval"][0] > 0
    assert len(found["columns"][0]["repeats"]) == 10
    assert "60 rows that training held out" in found["rows"]
    scored = json.loads(anynet("evaluate", table / "run", table / "t.csv", "--json").out)
    assert found["score"] == pytest.approx(scored["accuracy"])
    text = anynet("explain", table / "run", table / "t.csv", "--repeats", 3)
    assert text.code == 0
    assert "explain-t-2.png" in text.out
    model = package.load(table / "run", backend="numpy")
    held_out, _ = package.data.tables.load.rows_to_score(model, table / "t.csv")
    theirs = package.inspect.permutation_importance(model, held_out)
    assert [each["column"] for each in found["columns"]] == [
        theirs.columns[at] for at in theirs.order
    ]


def test_one_column_of_a_table_without_its_target(anynet: Any, table: Path) -> None:
    found = answer(anynet, table / "run", table / "new.csv", "--partial", "size")
    values, average = found["values"], found["average"]["yes"]
    assert values == sorted(values)
    assert all(isinstance(value, float) for value in values)
    assert average[-1] > average[0]
    found = answer(anynet, table / "run", table / "t.csv", "--partial", "kind", "--out", "k.png")
    assert found["values"] == ["a", "b", "c"]
    assert found["average"]["yes"][1] == max(found["average"]["yes"])
    lines = anynet("explain", table / "run", table / "t.csv", "--partial", "kind").out.splitlines()
    shown = [line.split()[-1] for line in lines if line.lstrip()[:2] in ("a ", "b ", "c ")]
    assert [len(each.partition(".")[2]) for each in shown] == [4, 4, 4]


def test_tables_with_bad_input(fails: Any, table: Path) -> None:
    run, data = table / "run", table / "t.csv"
    assert "no column 'sold'" in fails("explain", run, table / "new.csv")
    assert "did you mean 'size'" in fails("explain", run, data, "--partial", "sizes")
    assert "neg_log_los" in fails("explain", run, data, "--scoring", "neg_log_los")
    Path("mine.png").write_text("mine")
    assert "exists already" in fails("explain", run, data, "--out", "mine.png")
    assert "got 2 names" in fails("explain", run, data, data)
    assert Path("mine.png").read_text() == "mine"
    assert [path.name for path in Path().iterdir()] == ["mine.png"]


def test_test_images_of_a_data_set(anynet: Any, digits_run: Any, digits: Any) -> None:
    found = answer(anynet, digits_run.folder, "digits", "--images", 3)
    assert found["accuracy"] == pytest.approx(digits_run.result["test_accuracy"])
    x, y = digits.test
    model = package.load(digits_run.folder, backend="numpy")
    likely = model.predict_proba(x)
    for each in found["images"]:
        at = each["index"]
        assert each["class"] == digits.classes[y[at]]
        assert each["predicted"] == digits.classes[likely[at].argmax()]
    right = [each for each in found["images"] if each["class"] == each["predicted"]]
    wrong = [each for each in found["images"] if each["class"] != each["predicted"]]
    assert [each["class"] for each in right] == ["0", "1", "2"]
    surest = likely[likely.argmax(axis=1) != y].max(axis=1).max()
    assert wrong[0]["probability"] == pytest.approx(surest)
    text = anynet("explain", digits_run.folder, "digits", "--out", "d.png")
    assert text.code == 0
    assert "d.png" in text.out


def test_pictures_with_their_nearest_training_examples(
    anynet: Any, digits_run: Any, digits: Any
) -> None:
    Path("photo.png").write_bytes(photo())
    found = answer(anynet, digits_run.folder, "photo.png")
    (picture,) = found["pictures"]
    predicted = json.loads(anynet("predict", digits_run.folder, "photo.png", "--json").out)[0]
    assert picture["top"][0]["class"] == predicted["class"]
    assert picture["top"][0]["probability"] == pytest.approx(predicted["probability"])
    assert picture["space"] == "hidden"
    assert len(picture["nearest"]) == 5
    for near in picture["nearest"]:
        assert near["class"] == digits.classes[digits.train[1][near["row"]]]
    distances = [near["distance"] for near in picture["nearest"]]
    assert distances == sorted(distances)


def test_pictures_of_a_model_whose_data_are_elsewhere(
    anynet: Any, digits: Any, tmp_path: Path
) -> None:
    metadata = digits.metadata | {"dataset": "elsewhere.npz"}
    options: dict[str, Any] = {"epochs": 2, "backend": "numpy", "metadata": metadata}
    model = package.fit(package.mlp([64, 16, 10], scale=1 / 16), digits.train, **options)
    package.Ensemble([model, model], metadata).save(tmp_path / "m.safetensors")
    np.save("stack.npy", digits.test[0][:3].reshape(3, 8, 8))
    outcome = anynet("explain", tmp_path / "m.safetensors", "stack.npy")
    assert outcome.code == 0
    assert "no nearest training examples" in outcome.err
    assert outcome.out.count("stack.npy image") == 3


def test_unrecognisable_pictures_are_reported(anynet: Any, fails: Any, digits_run: Any) -> None:
    np.save("blank.npy", np.zeros((1, 20, 20)))
    assert "blank.npy" in fails("explain", digits_run.folder, "blank.npy")
    Path("text.png").write_text("no picture")
    assert "text.png" in fails("explain", digits_run.folder, "text.png")
    Path("photo.png").write_bytes(photo())
    outcome = anynet("explain", digits_run.folder, "photo.png", "text.png")
    assert outcome.code == 1
    assert "photo.png" in outcome.out
    assert "--partial is for models of tables" in fails(
        "explain", digits_run.folder, "digits", "--partial", "x"
    )


def test_samples_that_are_not_images(anynet: Any, rng: Any) -> None:
    x = rng.normal(size=(200, 5))
    np.savez("own.npz", x=x, y=(x[:, 3] > 0).astype(int))
    how = ("--layers", 8, "--epochs", 10, "--backend", "numpy", "--quiet", "--out", "run")
    assert anynet("train", "own.npz", *how).code == 0
    found = answer(anynet, "run", "own.npz")
    assert found["columns"][0]["column"] == "x3"
    assert len(found["columns"]) == 5
