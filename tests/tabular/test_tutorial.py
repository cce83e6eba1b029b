"""The tutorial on a messy table runs, and shows what its code prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from anynet.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "tutorials" / "messy-table.md").read_text()


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_tutorial_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYNET_BACKEND", "numpy")
    names: dict[str, Any] = {}
    with pytest.warns(UserWarning, match="'Erfurt' in row 2"):
        exec(compile("\n".join(blocks("python")), "messy-table.md", "exec"), names)
    printed = capsys.readouterr().out
    for block in blocks("text"):
        assert block in printed
    scores = names["scores"]
    assert scores["anynet"] > scores["boosted trees"] - 0.02 > scores["mean"] + 0.5
    importance = dict(zip(names["test"].columns, names["found"].importances_mean, strict=True))
    assert importance["no"] == importance["remark"] == importance["country"] == 0
    assert max(importance, key=importance.__getitem__) == "area"
    assert importance["rooms"] < importance["town"]
    for command in (line for block in blocks("sh") for line in block.splitlines()):
        assert main(shlex.split(command)[1:]) == 0, command
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1201
