"""The examples of docs/tables.md run."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anynet.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYNET_BACKEND", "numpy")
    rng = np.random.default_rng(0)
    rows = [(rng.normal(), rng.choice(["a", "b"])) for _ in range(90)]
    lines = [f"{x:.3f},{word},{'yes' if x > 0 else 'no'}\n" for x, word in rows]
    Path("ship.csv").write_text("size,deck,survived\n" + "".join(lines))
    Path("new.csv").write_text("size,deck\n-2,a\n2,b\n")
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    predicted = Path("predictions.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in predicted] == ["survived", "no", "yes"]
    assert "on 18 rows that training held out" in capsys.readouterr().out


def test_the_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYNET_BACKEND", "numpy")
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x = pandas.DataFrame({"size": rng.normal(size=100), "deck": rng.choice(["a", "b"], 100)})
    y = np.where(x["size"] > 0, "yes", "no")
    names: dict[str, Any] = {"X_train": x, "y_train": y, "X_test": x, "y_test": y}
    *parts, tuned = blocks("python")
    exec(compile("\n".join(parts), "docs/tables.md", "exec"), names)
    assert names["probabilities"].shape == (100, 2)
    assert np.argmax(names["found"].importances_mean) == 0
    assert names["model"].score(*names["data"].test) > 0.95
    assert 300 < names["model"].predict(names["new"])[0] < 600
    assert names["x"].shape == (2, names["preprocessing"].n_inputs)
    assert "size: missing" in capsys.readouterr().out
    exec(compile(tuned, "docs/tables.md", "exec"), {})
