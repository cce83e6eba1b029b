"""Sphinx extension: docstrings as reST, without a markup that the source would have to carry.

Docstrings are written to be read in the source and by ``help``. Shapes such as (*P, B, I) and
absolute values |x| are escaped here, because reST would take them for markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sphinx.application import Sphinx

LITERAL = re.compile(r"(``.+?``)")
MARKUP = re.compile(r"(?<![\w*\\])\*(?=\w)|\|(?=\S)")


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape asterisks and bars in the prose of a docstring, in place."""
    for at, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = LITERAL.split(line)
            parts[::2] = [MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
            lines[at] = "".join(parts)


def describe_data(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Replace the docstring of ``dict`` or ``tuple``, which data inherit, by their content."""
    if what == "data" and isinstance(obj, (Mapping, tuple)):
        kind = "Mapping with the keys" if isinstance(obj, Mapping) else "Tuple of"
        lines[:] = [f"{kind} {', '.join(f'``{each}``' for each in obj)}."]


def skip_member(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> Any:
    """Skip fields of named tuples, which their class describes, and what scikit-learn documents."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    request = name == "get_metadata_routing" or re.fullmatch(r"set_\w+_request", name)
    inherited = request or module.startswith("sklearn.")
    return True if inherited or type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to autodoc, before numpydoc reads the sections."""
    app.connect("autodoc-process-docstring", escape, priority=400)
    app.connect("autodoc-process-docstring", describe_data)
    app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
