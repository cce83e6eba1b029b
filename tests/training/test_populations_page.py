"""The docs page about populations: its Python runs and its links exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "populations.md").read_text()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "populations.md", "exec"), names)
    assert len(names["models"]) == 18
    assert (tmp_path / "digits-ensemble.safetensors").exists()
    assert names["ensemble"].score(*names["data"].test) > 0.9
    assert names["found"].scores.shape == (3, 5)
    assert "'momentum': 0.9" in capsys.readouterr().out


def test_the_links_exist() -> None:
    folder = Path(__file__).parents[2] / "docs"
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", PAGE):
        assert (folder / target).exists(), target
