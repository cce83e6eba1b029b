"""Printed output never contains terminal control sequences from names in the input."""

import csv
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

import anynet as library
from anynet.cli import plots
from anynet.cli.progress import download_bar
from anynet.cli.reports import Report
from anynet.cli.terminal import complain, percent, plain_warnings, say, say_json, table
from anynet.cli.value_report import ValueReport
from anynet.errors import AnynetError, printable

Command = Callable[..., Any]

#: Colours, a window title, C1 CSI, DEL, a change of text direction, forged message lines.
HOSTILE = "\x1b[31m\x1b]0;title\x07\x9b2J\x7f\u202e$x$|\nanynet: error: forged\r\u2028end"
FORGED = "anynet: error: forged"


def assert_harmless(text: str) -> None:
    """Check that every character is printable and that no line is a forged message."""
    for line in text.split("\n"):
        assert line.isprintable(), line
        assert not line.startswith(FORGED)


@pytest.mark.parametrize(
    "text", [HOSTILE, "\0", "a\tb", "\x85", "\u2066x\u2069", "\udcff", "\u200b\ufeff", "\x1b[2K\r"]
)
def test_printed_text_has_no_control_characters(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(text)
    complain(text)
    sys.stdout.write(f"{AnynetError(text)}\n{table([[text, '1'], ['b', text]])}\n")
    out, err = capsys.readouterr()
    assert_harmless(out + err)
    assert out.count("\n") == 4
    assert err.count("\n") == 1
    assert printable(text).encode("ascii", "backslashreplace").decode() in out


def test_ordinary_text_is_printed_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    say("Größe  日本 ✓ naïve", r"C:\new")
    complain("two  spaces in a name")
    assert capsys.readouterr() == (
        "Größe  日本 ✓ naïve\nC:\\new\n",
        "anynet: error: two  spaces in a name\n",
    )


def test_only_certain_probabilities_are_printed_as_0_or_100_percent() -> None:
    printed = [percent(p) for p in (0.0, 0.0002, 0.1234, 0.9989, 0.9998, 1.0)]
    assert printed == ["0.0%", "<0.1%", "12.3%", "99.9%", ">99.9%", "100.0%"]


def test_json_round_trips_and_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({HOSTILE: [HOSTILE]})
    out = capsys.readouterr().out
    assert_harmless(out)
    assert json.loads(out) == {HOSTILE: [HOSTILE]}


@pytest.fixture
def hostile_table(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "ta\x1b[31mble\n|x.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"a{HOSTILE}", f"kind{HOSTILE}", "constant\x1b[5m", "t\x1b]0;t\x07"])
        for row in range(60):
            name = f"yes{HOSTILE}" if row % 2 else "=no\x7f"
            kind = rng.choice([f"u{HOSTILE}", "v"])
            writer.writerow([row % 2 + rng.normal() / 9, kind, "1", name])
    return path


def test_control_characters_in_a_table_are_not_printed(
    anynet: Command, hostile_table: Path, tmp_path: Path
) -> None:
    run, out = tmp_path / "run\x1b[7m", tmp_path / "out\x1b[7m.csv"
    commands: list[tuple[Any, ...]] = [
        ("train", hostile_table, "--target", "t\x1b]0;t\x07", "--epochs", 2, "--out", run),
        ("evaluate", run, hostile_table),
        ("predict", run, hostile_table, "--top", 2),
        ("predict", run, hostile_table, "--out", out),
        ("export", run, "--format", "torch", "--out", tmp_path / "torch\x1b[7m"),
    ]
    for command in commands:
        outcome = anynet(*command)
        assert outcome.code == 0, outcome
        assert_harmless(outcome.out + outcome.err)
        assert "\\x1b" in outcome.out
    with out.open(newline="") as file:  # files contain the original text
        assert {row["t\x1b]0;t\x07"] for row in csv.DictReader(file)} == {
            f"yes{HOSTILE}",
            "=no\x7f",
        }


def test_a_study_report_escapes_control_characters(
    anynet: Command, hostile_table: Path, tmp_path: Path
) -> None:
    options = ("--values", 0.01, "--seeds", 1, "--epochs", 1, "--out", tmp_path / "study")
    study = ("study", "learning-rate", hostile_table, "--target", "t\x1b]0;t\x07")
    outcome = anynet(*study, *options)
    assert outcome.code == 0, outcome
    assert_harmless(outcome.out + outcome.err)
    report = (tmp_path / "study" / "report.md").read_text()
    assert_harmless(report)
    assert report.startswith("# Learning rate on ta\\\\x1b\\[31mble\\\\n\\|x\n")


def test_control_characters_in_a_model_file_are_not_printed(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    with safe_open(digits_run.folder / "model.safetensors", "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["anynet"])
    config["metadata"]["classes"] = [f"{digit}{HOSTILE}" for digit in range(10)]
    model = tmp_path / "foreign.safetensors"
    save_file(tensors, model, {"anynet": json.dumps(config)})
    rows = tmp_path / "rows.npy"
    np.save(rows, library.load_dataset("digits").test[0][:10])
    outcome = anynet("predict", model, rows, "--top", 3)
    assert outcome.code == 0, outcome
    assert_harmless(outcome.out)
    assert outcome.out.count("\n") == 11


@pytest.mark.parametrize(
    "arguments",
    [("train", "digits", f"--x{HOSTILE}"), (f"tr{HOSTILE}",), ("predict", "r", HOSTILE)],
)
def test_quoted_arguments_have_no_control_characters(
    anynet: Command, arguments: tuple[str, ...]
) -> None:
    outcome = anynet(*arguments)
    assert outcome.code in (1, 2)
    assert outcome.err.count("\n") == 1
    assert_harmless(outcome.err)


def test_warnings_are_printed_as_one_line_without_control_characters() -> None:
    before = warnings.formatwarning
    with plain_warnings():
        line = warnings.formatwarning(UserWarning(HOSTILE), UserWarning, "some.py", 1)
    assert_harmless(line)
    assert line == f"anynet: warning: {printable(HOSTILE)}\n"
    assert warnings.formatwarning is before


def test_the_progress_bar_of_a_download_escapes_the_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with download_bar(HOSTILE) as show:
        show(1, 2)
    bar = capsys.readouterr().err
    assert "x1b" in bar
    assert not set(bar) & {"\x07", "\x9b", "\x7f", "\u202e"}


@pytest.mark.parametrize(
    "name", [HOSTILE, "$x", "$x$", r"\$x$", "$\\frac{", "日本", "\0", "_x", "%", "a" * 100_000, ""]
)
def test_plots_accept_any_name(name: str, tmp_path: Path) -> None:
    classes = Report.of([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1], (name, "b"))
    plots.save_confusion(tmp_path / "confusion.png", classes, f"{name}: title")
    values = np.array([1.0, 2.0])
    report = ValueReport(values, values, name)
    plots.save_predictions(tmp_path / "predicted.png", report, f"{name}: title")
    for picture in tmp_path.iterdir():
        with Image.open(picture) as image:
            assert max(image.size) < 2000
