"""Sphinx extension: literal text that is the name of a documented object links to its page.

``anynet.fit`` and ``Ensemble`` in prose thus lead to the API reference, and the source stays plain
Markdown or numpydoc.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode


def link_literals(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Wrap the literals of a page that name objects of the API reference in links."""
    objects = app.env.domains.python_domain.objects
    short = {}
    for name, entry in objects.items():
        last = name.rpartition(".")[2]
        named = entry.objtype in ("class", "exception") and not entry.aliased
        if named and last[:1].isupper():
            short[last] = None if last in short and short[last] != name else name
    for node in list(doctree.findall(nodes.literal)):
        text = node.astext().removesuffix("()")
        name = text if text in objects and "." in text else short.get(text)
        inside = isinstance(node.parent, (nodes.reference, nodes.title, nodes.term))
        if name and not inside and objects[name].docname != docname:
            entry = objects[name]
            link = make_refnode(app.builder, docname, entry.docname, entry.node_id, [], name)
            node.replace_self(link)
            link += node


def setup(app: Sphinx) -> dict[str, Any]:
    """Link literals when all pages have been read."""
    app.connect("doctree-resolved", link_literals)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
