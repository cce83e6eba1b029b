"""Sphinx extension: the tables that the scripts of ``bench`` write, as pages with a title."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def add_title(app: Sphinx, docname: str, source: list[str]) -> None:
    """Prepend the name of the file where a table has no heading; no menu lists these pages."""
    if docname.startswith("bench/results/"):
        has_title = source[0].startswith("# ")
        title = "" if has_title else f"# {docname.removeprefix('bench/results/')}\n\n"
        source[0] = f"---\norphan: true\n---\n{title}{source[0]}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Add titles as the sources are read."""
    app.connect("source-read", add_title)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
