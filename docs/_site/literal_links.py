"""Sphinx extension: literal text that is the name of a documented object links to its page.

``anynet.fit``, ``nn.Dense`` and ``Ensemble`` in prose thus lead to the API reference, and the
source stays plain Markdown or numpydoc.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode


def link_literals(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Wrap the literals of a page that name objects of the API reference in links."""
    objects = app.env.domains.python_domain.objects
    for node in list(doctree.findall(nodes.literal)):
        text = node.astext().removesuffix("()")
        is_name = "." in text or text[:1].isupper()  # fit and step are words, too
        name = next((one for one in (text, f"anynet.{text}") if is_name and one in objects), "")
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
