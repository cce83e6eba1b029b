"""Sphinx extension: the page ``docs/draw.html``, on which visitors draw digits for a network.

It is trained when the site is built: the README's network on MNIST if its files are on this
machine, else on the smaller digits of scikit-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import anynet
from anynet.data.datasets import locate_dataset


def write_page(app: Sphinx, failure: Exception | None) -> None:
    """Train the network, and write its page into the built site."""
    if failure is not None or app.builder.format != "html":
        return
    name = "mnist" if locate_dataset("mnist") else "digits"
    data = anynet.load_dataset(name)
    sizes = [data.n_inputs, 128, 64, data.n_outputs]
    network = anynet.mlp(sizes, scale=data.scale)
    how = {"validation": 0.1, "backend": "numpy"}
    model = anynet.fit(network, data.train, metadata=data.metadata, **how)
    x, y = data.test
    path = Path(app.outdir) / "docs" / "draw.html"
    anynet.export.to_html(model, path, samples=(x[:50], y[:50]), title="Draw a digit")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the page before the links of the site are checked."""
    app.connect("build-finished", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
