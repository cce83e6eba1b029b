"""The docs page about data larger than memory: its Python and its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "large-data.md").read_text()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "large-data.md", "exec"), names)
    assert names["model"].score(names["data"]) > 0.8
    assert len(names["waves"].history.records) == 2
    assert capsys.readouterr().out.count("[") == 1


def test_the_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = anynet.load_dataset("digits").train
    Path("own").mkdir()
    np.save("own/x.npy", x[:600] * 15)
    np.save("own/y.npy", y[:600])
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for command in commands.splitlines():
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert "stream = true" in Path("runs/own/config.toml").read_text()


def test_the_links_exist() -> None:
    folder = Path(__file__).parents[2] / "docs"
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", PAGE):
        assert (folder / target).exists(), target
