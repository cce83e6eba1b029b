"""The documentation site: its API reference is complete, and its tools find what is wrong."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import anynet

DOCS = Path(__file__).parents[1] / "docs"
MODULES = [importlib.import_module(f"anynet.{name}") for name in anynet._SUBPACKAGES]
PACKAGES = ["anynet", *(module.__name__ for module in MODULES if hasattr(module, "__all__"))]


@pytest.fixture
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS / "_site")


def listed() -> list[str]:
    """Return the names in the API reference."""
    pages = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.rst"))
    return re.findall(r"^   (anynet(?:\.\w+)+)$", pages, re.MULTILINE)


def test_the_menu_has_each_page_once() -> None:
    pages = [*DOCS.rglob("*.md"), *(DOCS / "api").glob("*.rst")]
    entries = []
    for page in pages:
        menus = re.findall(
            r"```{toctree}\n(.*?)```|toctree::\n(.*?)\Z", page.read_text(), re.DOTALL
        )
        for line in "\n".join("".join(menu) for menu in menus).splitlines():
            if line.strip() and not line.strip().startswith(":"):
                name = re.sub(r".*<(.*)>", r"\1", line).strip()
                entries.append((page.parent / name).resolve())
    menu = [DOCS / "index", *(entry for entry in entries if entry.is_relative_to(DOCS))]
    assert sorted(menu) == sorted(page.with_suffix("") for page in pages)


def find(name: str) -> object:
    """Return an object by its dotted name."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_api_reference_lists_all_public_names(package: str) -> None:
    documented = {id(find(name)) for name in listed()}
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    objects = {name: one for name, one in public.items() if not inspect.ismodule(one)}
    missing = [name for name, one in objects.items() if id(one) not in documented]
    assert not missing, f"add them to a page of docs/api: {missing}"


def test_the_api_reference_lists_each_object_once() -> None:
    names = listed()
    assert len(names) == len(set(names)) == len({id(find(name)) for name in names})


@pytest.mark.parametrize("page", ["backends", "randomness"])
def test_the_python_of_pages_on_the_code_runs(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {})


@pytest.mark.usefixtures("_tools")
def test_a_tutorial_gets_the_output_and_figures_of_its_blocks(tmp_path: Path) -> None:
    import execute

    blocks = [
        "import matplotlib.pyplot as plt\nx = 2\nprint(x)",
        "import warnings\nwarnings.warn('careful')\nplt.plot([x, 3])\nplt.title('Line')",
    ]
    found = execute.run(blocks, tmp_path / "page", "page")
    assert found == [["2\n", []], ["UserWarning: careful\n", [["Line", "page-1.png"]]]]
    assert (tmp_path / "page-1.png").stat().st_size > 1000


@pytest.mark.usefixtures("_tools")
def test_dead_links_are_found(tmp_path: Path) -> None:
    import link_check

    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="#here">2</a><a href="https://example.org/x">3</a>'
        '<a href="c.html">4</a><a href="b.html#nowhere">5</a><img src="no.png"><p id="here">'
    )
    (tmp_path / "b.html").write_text('<p id="there"><a href="a.html">back</a>')
    dead = [("a.html", "b.html#nowhere"), ("a.html", "c.html"), ("a.html", "no.png")]
    assert link_check.dead_links(tmp_path) == dead
