"""Tables on the command line: training, scoring and prediction with names and units."""

import csv
import io
import json
import os
import re
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import r2_score

import anynet as library
from anynet.cli import main
from anynet.cli.predict import as_csv
from anynet.cli.value_report import ValueReport

Command = Callable[..., Any]

RATE = ("--learning-rate", "0.03", "--epochs", "30")
QUICK = ("--layers", "16", *RATE, "--backend", "numpy", "--quiet")
HEADER = "Number,Survived,Class,Name,Sex,Age,Fare,Port,Day"


def passengers(n: int, seed: int = 0) -> list[list[Any]]:
    """Draw passengers; survival depends on sex and class, and the fare on the class."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        sex, place = rng.choice(["male", "female"]), int(rng.integers(1, 4))
        survived = "yes" if rng.random() < 0.1 + 0.7 * (sex == "female") else "no"
        age = "" if rng.random() < 0.2 else round(float(rng.uniform(1, 80)), 1)
        fare = round(100 / place + float(rng.normal()), 2)
        port, day = rng.choice(["S", "C", ""]), f"1912-04-{rng.integers(1, 28):02}"
        rows.append([i + 1, survived, place, f"Smith, J. {i}", sex, age, fare, port, day])
    return rows


def write(path: Path, rows: list[list[Any]], header: str = HEADER, separator: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([header.split(","), *rows])
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a read-only folder with a table, a classification run and a regression run."""
    place = tmp_path_factory.mktemp("tables")
    table = write(place / "ship.csv", passengers(200))
    for target in ("Survived", "Fare"):
        run = place / target.lower()
        assert main(["train", str(table), "--target", target, *QUICK, "--out", str(run)]) == 0
    return place


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_output_of_a_classification(anynet: Command, place: Path, tmp_path: Path) -> None:
    arguments = ("--target", "Survived", *QUICK[:-1], "--out", tmp_path / "run")
    code, out, err = anynet("train", place / "ship.csv", *arguments)
    assert code == 0
    lines = out.splitlines()
    assert lines[1] == (
        "classification of Survived (2 classes) by Class (number), Sex (category), Age (number), "
        "Fare (number), Port (category), Day (date)"
    )
    assert lines[2].startswith(
        "ship: 128 rows to train on, 32 held out, 40 to test (--test 0.2: a share of all rows); "
        "layers 14-16-2"
    )
    assert lines[3].startswith("a single network")
    assert lines[4].startswith("test accuracy 0.")
    notes = err.splitlines()
    assert notes[0].startswith("anynet: note: Number is not used: ")
    assert notes[1].startswith("anynet: note: Name is not used: 200 ")
    assert "accuracy 0." in notes[2]


def test_the_output_of_a_regression(anynet: Command, place: Path, tmp_path: Path) -> None:
    arguments = ("--target", "Fare", *QUICK[:-1], "--out", tmp_path / "run")
    _, out, err = anynet("train", place / "ship.csv", *arguments)
    assert "regression of Fare (values) by Survived (boolean), Class (number)" in out
    assert "test R² 0." in out
    assert "R² 0." in err


@pytest.mark.parametrize("unit", [1.0, 1e300, 8e307, 1e-300, 1e-320])
def test_regression_scores_are_correct_for_extreme_float64_values(unit: float) -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.uniform(-1, 1, 50), rng.uniform(-1, 1, 50)
    measures = ValueReport(true * unit, predicted * unit, "y").measures()
    digits = {"rel": 1e-12 if unit > 1e-310 else 1e-2}
    assert measures["r2"] == pytest.approx(r2_score(true, predicted), **digits)
    error = predicted - true
    assert measures["rmse"] / unit == pytest.approx(np.sqrt(np.mean(error**2)), **digits)
    assert measures["mae"] / unit == pytest.approx(np.mean(np.abs(error)), **digits)
    constant = np.full(3, unit)
    assert ValueReport(constant, constant, "y").score == 1
    assert ValueReport(constant, constant / 2, "y").score == 0


def test_classes_that_are_codes_are_kept_as_text(anynet: Command, tmp_path: Path) -> None:
    codes = ["0101", "101", "00101", "7"]
    path = write(tmp_path / "codes.csv", [[i % 4, codes[i % 4]] for i in range(80)], "x,code")
    anynet("train", path, "--target", "code", *QUICK, "--out", tmp_path / "run")
    anynet("predict", tmp_path / "run", path, "--out", tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv")
    assert {row["code"] for row in rows} <= set(codes)
    assert {f"probability {code}" for code in codes} <= rows[0].keys()
    answers = json.loads(anynet("predict", tmp_path / "run", path, "--json").out)
    assert {answer["class"] for answer in answers} <= set(codes)


def test_the_run_folder_of_a_classification(place: Path) -> None:
    config = tomllib.loads((place / "survived" / "config.toml").read_text())
    assert config["dataset"] == str(place / "ship.csv")
    assert (config["target"], config["task"], config["test"]) == ("Survived", "classification", 0.2)
    assert (config["optimizer"], config["batch-size"], config["validation"]) == ("adam", 32, 32)
    assert config["about"]["test_accuracy"] > 0.6
    assert config["about"]["notes"][0].startswith("Number is not used: ")
    assert (place / "survived" / "confusion.png").exists()


def test_the_run_folder_of_a_regression(place: Path) -> None:
    folder = place / "fare"
    names = {"model.safetensors", "config.toml", "history.csv", "curves.png", "predicted.png"}
    assert {path.name for path in folder.iterdir()} == names
    with Image.open(folder / "predicted.png") as image:
        assert min(image.size) > 400
    about = tomllib.loads((folder / "config.toml").read_text())["about"]
    assert about["test_r2"] > 0.8
    assert 0 < about["test_mae"] < about["test_rmse"] < 15  # in the units of the fares
    assert "validation_r2" in read(folder / "history.csv")[0]


def test_the_config_of_a_run_reproduces_it(anynet: Command, place: Path, tmp_path: Path) -> None:
    config = place / "fare" / "config.toml"
    again = json.loads(
        anynet("train", "--config", config, "--json", "--out", tmp_path / "again").out
    )
    first = tomllib.loads(config.read_text())
    assert {name: again[name] for name in first["about"] if name.startswith("test_")} == {
        name: value for name, value in first["about"].items() if name.startswith("test_")
    }
    written = (tmp_path / "again" / "config.toml").read_text()
    assert written.split("[about]")[0] == config.read_text().split("[about]")[0]


def test_predictions_of_a_classification(anynet: Command, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    outcome = anynet("predict", place / "survived", place / "ship.csv", "--out", out)
    assert outcome == (0, f"{out}: 200 predictions of Survived\n", "")
    rows = read(out)
    assert list(rows[0]) == ["index", "Survived", "probability no", "probability yes"]
    assert [int(row["index"]) for row in rows] == list(range(200))
    model = library.load(place / "survived", "numpy")
    table = library.read_table(place / "ship.csv")
    np.testing.assert_array_equal([row["Survived"] for row in rows], model.predict(table))
    found = [[float(row["probability no"]), float(row["probability yes"])] for row in rows]
    np.testing.assert_allclose(found, model.predict_proba(table), rtol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_predictions_of_a_regression(anynet: Command, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    assert anynet("predict", place / "fare", place / "ship.csv", "--out", out).code == 0
    rows = read(out)
    assert list(rows[0]) == ["index", "Fare"]
    fares = np.array([float(row["Fare"]) for row in rows])
    true = library.read_table(place / "ship.csv").columns["Fare"].astype(float)
    assert np.abs(fares - true).mean() < 15


def test_predictions_are_written_and_printed_as_json(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    out, arguments = tmp_path / "out.csv", ("predict", place / "fare", place / "ship.csv", "--json")
    written = anynet(*arguments, "--out", out)
    assert written == anynet(*arguments)
    with out.open() as file:
        assert [float(row["Fare"]) for row in csv.DictReader(file)] == [
            each["value"] for each in json.loads(written.out)
        ]


def test_formulas_are_escaped_on_request(anynet: Command, tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1+1", "-1-1", "@SUM(A1)", "plain", "-3", "+1,5 %", "＝1"]
    source, run = tmp_path / "-x.csv", tmp_path / "run"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["number", "=target"], *([i % 8, names[i % 8]] for i in range(160))])
    done = anynet("train", source, "--target", "=target", "--epochs", 60, "--out", run)
    assert done.code == 0, done
    columns = {}
    for name, flags in {"raw": (), "escaped": ("--escape-formulas",)}.items():
        out = tmp_path / f"{name}.csv"
        assert anynet("predict", run, source, "--out", out, *flags).code == 0
        with out.open(newline="") as file:
            header, *rows = list(csv.reader(file))
        columns[name] = [header[1], *(row[1] for row in rows)]
    true, escaped = columns["raw"], columns["escaped"]
    assert {"=target", "@SUM(A1)", "-3", "plain"} <= set(true)
    kept = {"plain", "-3", "+1,5 %"}
    assert escaped == [cell if cell in kept else f"'{cell}" for cell in true]


@pytest.mark.parametrize("cell", [-1.5, "-1", "+2", "-1e-9", "-1.016,5", "-", "-inf", "a=b", ""])
def test_numbers_and_plain_text_are_not_escaped(cell: object) -> None:
    assert as_csv([("x", [cell])], escape_formulas=True) == as_csv([("x", [cell])])


@pytest.mark.parametrize("cell", ["=1", "\t=1", "\r=1", "-1+cmd", "@x", "--1"])
def test_cells_that_a_spreadsheet_evaluates_are_escaped(cell: str) -> None:
    text = as_csv([(cell, [cell])], escape_formulas=True)
    header, value = csv.reader(io.StringIO(text, newline=""))
    assert header == value == [f"'{cell}"]


def test_predictions_on_the_screen(anynet: Command, place: Path) -> None:
    run, table = place / "survived", place / "ship.csv"
    answers = json.loads(anynet("predict", run, table, "--json", "--top", 2).out)
    assert len(answers) == 200
    assert {each["class"] for each in answers[3]["top"]} == {"yes", "no"}
    header, line, *_ = anynet("predict", run, table).out.splitlines()
    assert header.split() == ["file", "index", "class", "probability"]
    assert line.split()[1:3] == ["0", answers[0]["class"]]
    values = json.loads(anynet("predict", place / "fare", table, "--json").out)
    assert set(values[0]) == {"file", "index", "value"}
    header, line, *_ = anynet("predict", place / "fare", table).out.splitlines()
    assert header.split() == ["file", "index", "value"]
    assert float(line.split()[2]) == pytest.approx(values[0]["value"], rel=1e-5)


def test_predictions_for_several_files_contain_the_file_name(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    new = write(tmp_path / "new.csv", passengers(3, seed=1))
    out = tmp_path / "predictions.csv"
    assert anynet("predict", place / "fare", new, place / "ship.csv", "--out", out).code == 0
    rows = read(out)
    assert [(row["file"], row["index"]) for row in rows[:4]] == [
        *((str(new), str(i)) for i in range(3)),
        (str(place / "ship.csv"), "0"),
    ]


def test_deviations_from_the_training_rows_are_reported(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    rows = [["X", "free", "1", "male", "", 7], ["S", "30", "2", "female", "1912-04-02", 7]]
    new = write(tmp_path / "new.csv", rows, "Port,Fare,class,Sex,Day,Extra", separator=";")
    code, out, err = anynet("predict", place / "survived", new)
    assert (code, len(out.splitlines())) == (0, 3)
    start = f"anynet: warning: {new}: "
    facts = [
        "no column 'class', 'Extra': ignored",
        "^Class: .*no such column; did you mean",
        "^Age: .*no such column: .*missing",
        "^Fare: 1 of 2 rows .*number .*'free' in",
        "^Port: 1 of 2 rows .*category",
        "^Day: 1 of 2 rows .*no value",
    ]
    for line, fact in zip(err.splitlines(), facts, strict=True):
        assert line.startswith(start)
        assert re.search(fact, line.removeprefix(start))


def test_existing_prediction_files_are_not_overwritten(
    fails: Command, place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.csv"
    out.write_text("mine")
    assert "exists already" in fails("predict", place / "fare", place / "ship.csv", "--out", out)
    assert out.read_text() == "mine"
    absent = tmp_path / "none" / "predictions.csv"
    assert "no folder" in fails("predict", place / "fare", place / "ship.csv", "--out", absent)


def test_a_concurrently_created_file_is_kept(
    fails: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "predictions.csv"
    predict = library.Model.predict_mean

    def slowly(model: library.Model, x: Any) -> Any:
        out.write_text("another's")
        return predict(model, x)

    monkeypatch.setattr(library.Model, "predict_mean", slowly)
    assert "exists already" in fails("predict", place / "fare", place / "ship.csv", "--out", out)
    assert out.read_text() == "another's"
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_evaluate_scores_the_held_out_rows(anynet: Command, place: Path) -> None:
    about = tomllib.loads((place / "survived" / "config.toml").read_text())["about"]
    result = json.loads(anynet("evaluate", place / "survived", place / "ship.csv", "--json").out)
    assert (result["accuracy"], result["rows"]) == (about["test_accuracy"], 40)
    assert [each["class"] for each in result["classes"]] == ["no", "yes"]
    out = anynet("evaluate", place / "fare", place / "ship.csv").out
    about = tomllib.loads((place / "fare" / "config.toml").read_text())["about"]
    assert out.startswith(f"ship: R² {about['test_r2']:.4f} on 40 rows that training held out\n")
    assert f"{about['test_mae']:.6g}" in out


def test_evaluate_scores_all_rows_of_another_file(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    rows = passengers(50, seed=1)
    rows[3][1] = "perhaps"
    new = write(tmp_path / "new.csv", rows)
    code, out, err = anynet("evaluate", place / "survived", new)
    assert code == 0
    assert " on 49 rows\n" in out
    assert "1 of 50 rows have no value that the model knows ('perhaps' in line 5)" in err


def test_a_separate_file_of_test_rows(anynet: Command, place: Path, tmp_path: Path) -> None:
    new, run = write(tmp_path / "new.csv", passengers(50, seed=1)), tmp_path / "run"
    arguments = ("--target", "Survived", "--test", new, *QUICK, "--json", "--out", run)
    result = json.loads(anynet("train", place / "ship.csv", *arguments).out)
    assert tomllib.loads((run / "config.toml").read_text())["test"] == str(new)
    again = json.loads(anynet("evaluate", run, new, "--json").out)
    assert (again["accuracy"], again["rows"]) == (result["test_accuracy"], 50)
    output = anynet("evaluate", run, place / "ship.csv").out
    assert "on 200 rows, on which it was trained" in output


def test_column_types_can_be_given(anynet: Command, place: Path, tmp_path: Path) -> None:
    arguments = ("--target", "Survived", *QUICK, "--out", tmp_path / "run")
    columns = "Class=category,Number=number,Day=ignored"
    assert anynet("train", place / "ship.csv", "--columns", columns, *arguments).code == 0
    model = library.load(tmp_path / "run", "numpy")
    names = library.Preprocessing.of(model).input_names
    assert {"Number", "Class = 1", "Class = 2", "Class = 3"} <= set(names)
    assert not any(name.startswith("Day") for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ship.csv"], "--target COLUMN: it has 'Num"),
        (["ship.csv", "--target", "survived"], "no column 'survived'; did you mean 'Survived'?"),
        (["ship.csv", "--target", "Name"], "which are not classes"),
        (["ship.csv", "--target", "Sex", "--task", "regression"], "holds no number, but text"),
        (["ship.csv", "--target", "Fare", "--label-smoothing", "0.1"], "is an option for classes"),
        (["ship.csv", "--target", "Fare", "--columns", "Ag=number"], "did you mean 'Age'?"),
        (["none.csv", "--target", "Fare"], "cannot read 'none.csv': No such file"),
        (["none.csv"], "cannot read 'none.csv': No such file"),
        (
            ["digits", "--target", "Fare"],
            "--target is an option of tables",
        ),
        (["digits", "--test", "0.3"], "--test is an option of tables"),
        (["digits", "--columns", "a=number"], "--columns is an option of tables"),
        (["digits", "--decimal", ","], "--decimal is an option of tables"),
        (["ship.csv", "--target", "Fare", "--decimal", ",", "--thousands", ","], "must differ"),
        (["/dev/zero", "--target", "Fare"], "'/dev/zero' is a device"),
        (["/dev/zero"], "'/dev/zero' is a device"),
        (["ship.csv", "--target", "Fare", "--test", "/dev/zero"], "'/dev/zero' is a device"),
    ],
)
def test_invalid_training_arguments_are_errors(
    fails: Command,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.iterdir())
    assert message in fails("train", *arguments, "--out", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "fare", "ship.csv", "--top", "2"], "--top is for classes"),
        (["predict", "fare", "none.csv"], "cannot read 'none.csv'"),
        (["predict", "fare", "other.csv"], "none of the columns"),
        (["evaluate", "fare", "other.csv"], "'other.csv' has no column 'Fare'"),
        (["predict", "fare", "photo.png"], "on a table, and photo.png is a PNG picture"),
        (["explain", "fare", "photo.png"], "on a table, and photo.png is a PNG picture"),
        (["predict", "fare", "ragged.csv"], "line 3 has 1 field, separated by ','"),
    ],
)
def test_invalid_prediction_arguments_are_errors(
    fails: Command, place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(place)
    (place / "other.csv").write_text("a,b\n1,2\n")
    (place / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    (place / "ragged.csv").write_text("a,b\n1,2\n1\n")
    assert message in fails(*arguments)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_read_once(anynet: Command, place: Path, tmp_path: Path) -> None:
    content = (place / "ship.csv").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def filled(*arguments: Any) -> Any:
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        outcome = anynet(*arguments)
        writer.join()
        return outcome

    run = tmp_path / "run"
    assert filled("train", pipe, "--target", "Fare", *QUICK, "--out", run).code == 0
    for evaluated in (filled("evaluate", run, pipe), anynet("evaluate", run, place / "ship.csv")):
        assert "on 40 rows that training held out" in evaluated.out
    predicted = json.loads(filled("predict", run, pipe, "--json").out)
    expected = json.loads(anynet("predict", run, place / "ship.csv", "--json").out)
    for row in (*predicted, *expected):
        row.pop("file")
    assert predicted == expected


def test_separators_of_numbers_are_kept_for_new_rows(anynet: Command, tmp_path: Path) -> None:
    rows = [[f"{1 + i % 9}.{100 + i}", f"{i % 7},5"] for i in range(60)]
    table = write(tmp_path / "t.csv", rows, "amount,y", ";")
    new = write(tmp_path / "new.csv", [["1.016"]], "amount", ";")
    for options, amount in ((("--decimal", ","), 1016), (("--thousands", ""), 1.016)):
        run = tmp_path / f"run {amount}"
        command = ("train", table, "--target", "y", *QUICK, *options, "--out", run)
        assert anynet(*command).code == 0
        again = tmp_path / f"again {amount}"
        assert anynet("train", "--config", run / "config.toml", "--out", again).code == 0
        for folder in (run, again):
            preprocessing = library.Preprocessing.of(library.load(folder, "numpy"))
            table_of_new, _ = preprocessing.read(library.read_table(new))
            assert float(table_of_new.columns["amount"][0]) == amount


def test_out_is_an_error_for_image_models(fails: Command, digits_run: Any, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    assert "--out is for models of tables" in fails("predict", digits_run.folder, "x", "--out", out)


def test_dollar_signs_in_names_are_not_parsed_as_formulas(anynet: Command, tmp_path: Path) -> None:
    rows = [[i % 7, f"$a_{{{i % 2}$"] for i in range(40)]
    table = write(tmp_path / "$x_{$.csv", rows, "a,b")
    assert anynet("train", table, "--target", "b", *QUICK, "--out", tmp_path / "run").code == 0


def test_parquet_tables_are_trained_and_predicted(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    table = tmp_path / "ship.parquet"
    parquet.write_table(arrow_csv.read_csv(place / "ship.csv"), table)
    run = ("train", table, "--target", "Fare", *QUICK, "--out", tmp_path / "run")
    assert anynet(*run).code == 0
    for run, source in ((place / "fare", table), (tmp_path / "run", place / "ship.csv")):
        outcome = anynet("predict", run, source, "--json")
        assert outcome.err == ""
        assert len(json.loads(outcome.out)) == 200


def test_studies_of_a_classification_table(
    anynet: Command, fails: Command, place: Path, tmp_path: Path
) -> None:
    values = ("--values", 0.01, "--seeds", 2, "--epochs", 2, "--quiet")
    study = ("study", "learning-rate", place / "ship.csv")
    out = tmp_path / "study"
    assert anynet(*study, "--target", "Survived", *values, "--out", out).code == 0
    assert (out / "report.md").exists()
    assert "studies compare accuracies" in fails(*study, "--target", "Fare", *values)


def test_export_reports_the_meaning_of_the_inputs(
    anynet: Command, place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.safetensors"
    outcome = anynet("export", place / "fare", "--format", "torch", "--out", out)
    assert outcome.code == 0
    assert "takes columns as they are encoded" in outcome.err
