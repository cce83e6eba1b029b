"""Sphinx extension: a warning for each link of the built site that leads nowhere.

Every ``href`` and ``src`` of every page is followed to its file, and to its anchor if it has one.
Links to other sites are not followed, nor the anchors of the listings of ``sphinx.ext.viewcode``,
which does not know that an object may be documented under a shorter name.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


class Page(HTMLParser):
    """The links and the anchors of a page.

    Attributes
    ----------
    links : set of str
    anchors : set of str
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Record the attributes of a tag."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def dead_links(site: Path) -> list[tuple[str, str]]:
    """Return the page and the target of each link to a file or an anchor that does not exist.

    Parameters
    ----------
    site : Path
        The folder of a built site.

    Returns
    -------
    list of (str, str)
    """
    site = site.resolve()
    pages = {
        path: Page(path) for path in site.rglob("*.html") if site / "_static" not in path.parents
    }
    sources, dead = site / "_modules", []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            listing = sources in path.parents or sources in target.parents
            known = listing or target not in pages or anchor in ("", *pages[target].anchors)
            if not target.is_file() or not known:
                dead.append((str(path.relative_to(site)), link))
    return dead


def warn_of_dead_links(app: Sphinx, failure: Exception | None) -> None:
    """Warn of dead links at the end of a build."""
    if failure is None and app.builder.format == "html":
        for page, link in dead_links(Path(app.outdir)):
            logger.warning("%s: dead link: %s", page, link)


def setup(app: Sphinx) -> dict[str, Any]:
    """Check the links after the build."""
    app.connect("build-finished", warn_of_dead_links, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
