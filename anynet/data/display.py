"""Short descriptions of data: lines of text for ``print``, a table of HTML for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Described:
    """Base of what describes itself by a title and a few named facts."""

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the title and the facts of the description, each of one line."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, facts = self.describe()
        width = max(map(len, facts), default=0)
        return "\n".join([title, *(f"  {name:{width}}  {fact}" for name, fact in facts.items())])

    def _repr_html_(self) -> str:
        """Return the description as HTML, as notebooks show it; names and values are escaped."""
        title, facts = self.describe()
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(fact)}</td></tr>"
            for name, fact in facts.items()
        )
        return f"<table><caption>{html.escape(title)}</caption>{rows}</table>"


def shortened(names: Iterable[str], most: int = 10) -> str:
    """Return the first names of a list, separated by commas, and the number of the others."""
    names = list(names)
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names) - most} more)"
