"""Sphinx extension: the README's network as a web page of the site, on which visitors draw digits.

It is trained and exported by the commands of the README when the site is built: on MNIST if
``ANYNET_DATA_DIR`` has it, otherwise on the digits of scikit-learn.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

import anynet

PAGE = "docs/digit.html"
logger = logging.getLogger(__name__)


def dataset() -> str:
    """Return the name of the data set that is on this machine."""
    try:
        return anynet.load_dataset("mnist", download=False).name
    except anynet.DataError:
        return "digits"


def write_page(app: Sphinx, failure: Exception | None) -> None:
    """Train the network, and write its page into the site."""
    if failure is not None or app.builder.format != "html":
        return
    env = os.environ | {"ANYNET_BACKEND": "numpy"}
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        page = str(Path(app.outdir).resolve() / PAGE)
        for command in (
            ["train", dataset(), "--layers", "128,64", "--out", run],
            ["export", run, "--format", "html", "--out", page],
        ):
            ended = subprocess.run(
                [sys.executable, "-m", "anynet", *command],
                env=env, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if ended.returncode != 0:
                logger.warning("anynet %s fails: %s", " ".join(command), ended.stderr)
                return


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the page after the others, and before links are checked."""
    app.connect("build-finished", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
