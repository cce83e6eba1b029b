"""Documentation: the README's Python, commands and links, and the examples of docstrings."""

from __future__ import annotations

import doctest
import importlib
import operator
import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import anynet
from anynet import config
from anynet.cli import build_parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FOLDERS = ("docs", "bench", "recipes")
PAGES = [*ROOT.glob("*.md"), *(page for each in FOLDERS for page in (ROOT / each).rglob("*.md"))]


def test_the_readme_python_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "digits.safetensors").exists()
    assert "EpochRecord(epoch=" in capsys.readouterr().out
    assert names["model"].score(*names["data"].test) > 0.95


def test_the_readme_commands_parse() -> None:
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    commands = [line.partition(" #")[0] for line in shell.splitlines() if "anynet " in line]
    commands = [line[line.index("anynet ") :] for line in commands]
    assert len(commands) >= 12
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)[1:]).run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_pages_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)[)#]", page.read_text()):
        assert (page.parent / target).is_file(), target


MODULES = [name for _, name, _ in pkgutil.walk_packages(anynet.__path__, "anynet.")]
LIBRARIES = tuple(f"anynet.backends.{name}" for name in ("cupy", "jax", "nccl", "torch"))


IMPORTABLE = [n for n in MODULES if not n.startswith((*LIBRARIES, "anynet.__main__"))]


REQUIRED = {
    "anynet.export.torch": "torch",
    "anynet.export.onnx": "onnx",
    "anynet.backends.nccl": "cupy",
}
USED_MOST = """
    mlp fit fit_population cross_validate load resume FitOptions Model Ensemble History EpochRecord
    StopReason Checkpoints load_dataset load_tabular_dataset read_table open_source Dataset Table
    Preprocessing get_backend Backend register set_threads tune MLPClassifier MLPRegressor Network
    PopulationSearchCV TabularClassifier TabularRegressor nn.Dense nn.Activation nn.Dropout
    nn.CrossEntropy nn.Huber optim.SGD optim.Adam optim.AdamW optim.Group optim.Exponential
    optim.Cosine optim.OneCycle optim.Warmup optim.ReduceOnPlateau augment.Affine export.to_onnx
    export.to_torch export.to_sklearn export.from_sklearn tabular.get_preset
"""


@pytest.mark.parametrize("name", USED_MOST.split())
def test_the_names_used_most_have_an_example(name: str) -> None:
    assert ">>> " in operator.attrgetter(name)(anynet).__doc__


@pytest.mark.parametrize("name", IMPORTABLE)
def test_docstring_examples_give_the_shown_results(name: str) -> None:
    if name in REQUIRED:
        pytest.importorskip(REQUIRED[name])
    before = {family: dict(parts) for family, parts in config._FAMILIES.items()}
    # walk_packages names files: anynet.training.fit is the module, not the function of that name
    assert doctest.testmod(importlib.import_module(name)).failed == 0
    for family, parts in before.items():  # an example registers a part of its own
        config._FAMILIES[family].clear()
        config._FAMILIES[family].update(parts)
