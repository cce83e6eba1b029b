"""Fixtures of the command line tests: one shared short run, and helpers to run commands."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from anynet.cli import main

TRAIN = ["train", "digits", "--layers", "32", "--epochs", "3", "--backend", "numpy"]


class Outcome(NamedTuple):
    """The result of a command: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANYNET_BACKEND", "ANYNET_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def anynet(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process: ``anynet("train", "digits")``."""

    def command(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture
def fails(anynet: Command) -> Callable[..., str]:
    """Run a command that must fail with exit code 1, and return its one line of error."""

    def command(*arguments: object, code: int = 1) -> str:
        outcome = anynet(*arguments)
        assert outcome.code == code, outcome
        assert outcome.out == ""
        assert outcome.err.startswith("anynet: error: ")
        assert outcome.err.count("\n") == 1, outcome.err
        assert outcome.err.endswith("\n")
        return outcome.err

    return command


class DigitsRun(NamedTuple):
    """The shared run: its folder, and its ``--json`` output."""

    folder: Path
    result: dict[str, Any]


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> DigitsRun:
    """Train once; the tests only read the folder."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([*TRAIN, "--json", "--out", str(folder)]) == 0
    return DigitsRun(folder, json.loads(printed.getvalue()))
