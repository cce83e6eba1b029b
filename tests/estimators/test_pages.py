"""The docs pages about the estimators: their examples run, their links exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["moving-from-scikit-learn.md", "arrays-and-devices.md"])
def test_the_examples_of_a_page_run(name: str, tmp_path: Path, monkeypatch) -> None:
    page = (DOCS / name).read_text()
    if "import torch" in page:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {}
    exec(compile(code, name, "exec"), names)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page):
        assert (DOCS / target).exists(), target


def test_the_parameter_table_contains_every_parameter() -> None:
    import anynet

    page = (DOCS / "moving-from-scikit-learn.md").read_text()
    rows = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(\w+)`", rows))
    for estimator in (anynet.MLPClassifier, anynet.MLPRegressor):
        assert set(estimator().get_params()) <= named
