"""``anynet compare``: tests on common rows, different rows, tables, studies, bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as package
from anynet.cli.compare import shown_p
from anynet.cli.contenders import short_names
from anynet.inspect import mcnemar
from anynet.study.paired import compare_with_chosen, summarise_rows
from anynet.study.results import Row

QUICK = ("--backend", "numpy", "--quiet")


def compared(anynet: Any, *arguments: Any) -> tuple[str, dict[str, Any]]:
    """Return the text and the JSON of a comparison."""
    text, as_json = anynet("compare", *arguments), anynet("compare", *arguments, "--json")
    assert text.code == as_json.code == 0, (text, as_json)
    return text.out, json.loads(as_json.out, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: Any) -> Path:
    """Return a folder of three models of the digits: two seeds, and one that knows little."""
    root = tmp_path_factory.mktemp("models")
    network = package.mlp([64, 32, 10], scale=digits.scale)
    options: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.01, "backend": "numpy"}
    for name, seed, epochs in (("one", 0, 8), ("two", 1, 8)):
        model = package.fit(
            network, digits.train, seed=seed, epochs=epochs, metadata=digits.metadata, **options
        )
        model.save(root / f"{name}.safetensors")
    few = tuple(each[:60] for each in digits.train)
    package.fit(network, few, epochs=1, metadata=digits.metadata, **options).save(
        root / "worse.safetensors"
    )
    return root


def test_two_seeds_are_inconclusive_and_a_worse_model_is_worse(
    anynet: Any, folder: Path, digits: Any
) -> None:
    text, found = compared(anynet, folder)
    tests = {(each["first"], each["second"]): each for each in found["tests"]}
    names = [f"{name}.safetensors" for name in ("one", "two", "worse")]
    assert set(tests) == {(names[0], names[1]), (names[0], names[2]), (names[1], names[2])}
    assert not tests[names[0], names[1]]["decided"]
    assert tests[names[0], names[2]]["decided"]
    assert tests[names[0], names[2]]["difference"] < -0.2
    assert "inconclusive" in text
    assert f"is better than {names[2]}" in text
    assert "3 comparisons" in text
    models = [package.load(folder / name, backend="numpy") for name in names]
    x, y = digits.test
    right = [model.predict(x) == y for model in models]
    expected = mcnemar(right[0], right[2])
    test = tests[names[0], names[2]]
    assert test["mcnemar"] == expected._asdict()
    assert test["p"] == expected.p_mid
    assert test["p_holm"] >= test["p"]
    assert found["runs"][0]["scores"]["accuracy"] == models[0].score(x, y)


def test_options_and_curves_of_runs(anynet: Any, digits_run: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert anynet("train", "digits", "--epochs", 2, "--layers", 8, *QUICK, "--out", other).code == 0
    text, found = compared(anynet, digits_run.folder, other)
    assert found["runs"][1]["options"] == {"layers": [8], "epochs": 2}
    assert "layers" in text
    assert len(found["runs"][1]["curve"]["train_loss"]) == 2
    picture = tmp_path / "curves.png"
    assert anynet("compare", digits_run.folder, other, "--out", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_different_rows_are_not_tested(anynet: Any, folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 17, (120, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(120) % 10)
    own = tmp_path / "own"
    how = ("--epochs", 1, "--layers", 8, *QUICK, "--out", own)
    assert anynet("train", tmp_path / "own.npz", *how).code == 0
    text, found = compared(anynet, folder / "one.safetensors", own)
    assert found["tests"] == []
    assert "no test between runs with different test rows" in text
    assert "digits" in text
    _, found = compared(anynet, folder / "one.safetensors", own, "--data", "digits")
    assert len(found["tests"]) == 1


def test_unfinished_runs_and_absent_data_are_named(
    anynet: Any, folder: Path, digits: Any, tmp_path: Path
) -> None:
    network = package.mlp([64, 8, 10])
    unfinished = tmp_path / "unfinished"
    package.fit(
        network, digits.train, epochs=1, backend="numpy", checkpoint=unfinished / "checkpoints"
    )
    package.fit(network, digits.train, epochs=1, backend="numpy").save(tmp_path / "m.safetensors")
    text, found = compared(
        anynet, unfinished, tmp_path / "m.safetensors", folder / "one.safetensors"
    )
    assert found["tests"] == []
    assert "unfinished" in found["runs"][0]["reason"]
    assert "--data" in found["runs"][1]["reason"]
    assert text.count("no test for") == 2


@pytest.mark.parametrize("target", ["sold", "price"])
def test_tables_are_compared_on_the_rows_held_out(anynet: Any, tmp_path: Path, target: str) -> None:
    rng = np.random.default_rng(0)
    size, kind = rng.normal(size=200), rng.integers(2, size=200)
    price = 20 + 5 * size + 8 * kind
    lines = [f"{s:.2f},{'xy'[k]}" for s, k in zip(size, kind, strict=True)]
    last = ["yes" if p > 24 else "no" for p in price] if target == "sold" else price.round(2)
    rows = [f"{line},{end}" for line, end in zip(lines, last, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([f"size,kind,{target}", *rows]))
    how = ("train", tmp_path / "t.csv", "--target", target, *QUICK)
    assert anynet(*how, "--members", 2, "--out", tmp_path / "preset").code == 0
    assert anynet(*how, "--layers", 2, "--epochs", 1, "--out", tmp_path / "bad").code == 0
    text, found = compared(anynet, tmp_path / "preset", tmp_path / "bad")
    (test,) = found["tests"]
    assert test["decided"]
    assert test["difference"] < 0
    assert "preset is better than bad" in text
    names = set(found["runs"][0]["scores"])
    assert names == ({"accuracy"} if target == "sold" else {"R²", "MAE"})
    recorded = found["runs"][0]["about"]["test_accuracy" if target == "sold" else "test_r2"]
    assert next(iter(found["runs"][0]["scores"].values())) == pytest.approx(recorded, abs=1e-6)
    if target == "price":
        return
    assert anynet(*how, "--test", "0.3", "--members", 1, "--out", tmp_path / "more").code == 0
    assert anynet(*how, "--test", "0", "--members", 1, "--out", tmp_path / "all").code == 0
    text, found = compared(*[anynet, *(tmp_path / name for name in ("preset", "more", "all"))])
    assert found["tests"] == []
    assert "different test rows" in text
    assert "trained on" in found["runs"][2]["reason"]


def test_study_is_compared_by_seeds(anynet: Any, tmp_path: Path) -> None:
    study = tmp_path / "study"
    how = ("--values", 0.1, 1e-4, "--seeds", 3, "--epochs", 2, *QUICK, "--out", study)
    assert anynet("study", "learning-rate", "digits", *how).code == 0
    before = (study / "results.json").read_bytes()
    picture = tmp_path / "curves.png"
    text, found = compared(anynet, study)
    assert "learning rate 0.1 is better than learning rate 0.0001" in text
    assert [each["options"]["learning_rate"] for each in found["points"]] == [0.1, 1e-4]
    assert found["tests"][0]["decided"]
    assert anynet("compare", study, "--out", picture).code == 0
    assert picture.is_file()
    error = anynet("compare", study, study).err
    assert f"anynet compare {study}, with no other run" in error
    note = anynet("compare", tmp_path).err
    assert f"{study} skipped: it is the folder of a study" in note
    assert (study / "results.json").read_bytes() == before


def rows(accuracies: dict[str, list[float]]) -> list[Row]:
    return [
        Row({"a": name, "b": 1}, seed, value, value, 1, 1, 1.0, "", [value])
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]


def test_study_comparison_equals_the_paired_t_test() -> None:
    from scipy.stats import ttest_rel

    accuracies = {"x": [0.9, 0.91, 0.92, 0.9], "y": [0.88, 0.9, 0.89, 0.89], "z": [0.5] * 4}
    found = compare_with_chosen(summarise_rows(rows(accuracies), ["a"]))
    assert [each.other.point for each in found] == [{"a": "y"}, {"a": "z"}]
    theirs = ttest_rel(accuracies["x"], accuracies["y"])
    interval = theirs.confidence_interval(0.95)
    assert found[0].p == pytest.approx(theirs.pvalue)
    assert (found[0].low, found[0].high) == pytest.approx((interval.low, interval.high))
    assert found[0].p_holm == pytest.approx(theirs.pvalue)  # the larger of two
    single = compare_with_chosen(summarise_rows(rows({"x": [0.9], "y": [0.8]}), ["a"]))
    assert np.isnan(single[0].p)
    assert not single[0].decided


def test_data_of_another_kind_are_the_reason_of_no_test(
    anynet: Any, folder: Path, tmp_path: Path
) -> None:
    rows = "\n".join(f"{i % 7},{'xy'[i % 2]}" for i in range(60))
    for target in ("sold", "kept"):
        (tmp_path / f"{target}.csv").write_text(f"size,{target}\n{rows}")
        how = ("--target", target, "--layers", 2, "--epochs", 1, *QUICK, "--out", tmp_path / target)
        assert anynet("train", tmp_path / f"{target}.csv", *how).code == 0
    paths = tmp_path / "sold", tmp_path / "kept", folder / "one.safetensors"
    _, found = compared(anynet, *paths, "--data", tmp_path / "sold.csv")
    reasons = [each["reason"] for each in found["runs"]]
    assert reasons[0] is None
    assert "no column 'kept', the target of this run" in reasons[1]
    assert "trained on digits" in reasons[2]
    assert "is a table" in reasons[2]
    _, found = compared(anynet, *paths[1:], "--data", "digits")
    assert "digits is not a table" in found["runs"][0]["reason"]
    _, other = compared(anynet, *paths[1:], "--data", tmp_path / "absent.csv")
    assert "absent.csv is neither a file" in other["runs"][0]["reason"]
    assert found["runs"][1]["reason"] is None


def test_small_p_values_are_bounds() -> None:
    assert shown_p(3e-5) == "< 0.0001"
    assert shown_p(0.0123) == "= 0.0123"


def test_bad_input(fails: Any, folder: Path, tmp_path: Path) -> None:
    assert "two or more runs" in fails("compare", folder / "one.safetensors")
    assert "two or more runs" in fails("compare", tmp_path)
    (tmp_path / "there.png").write_text("mine")
    paths = folder / "one.safetensors", folder / "two.safetensors"
    assert "exists already" in fails("compare", *paths, "--out", tmp_path / "there.png")
    assert "no model" in fails("compare", folder / "one.safetensors", tmp_path / "absent")
    shutil.copy(folder / "one.safetensors", tmp_path / "results.json")
    assert "damaged" in fails("compare", tmp_path)


def test_names_are_as_short_as_they_distinguish() -> None:
    assert short_names([Path("a/x"), Path("a/y")]) == ["x", "y"]
    assert short_names([Path("a/x"), Path("b/x")]) == ["a/x", "b/x"]
    assert len(set(short_names([Path("a"), Path("a")]))) == 2
