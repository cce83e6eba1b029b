"""Sphinx extension: run the tutorials when the site is built, and show what they print and plot.

A tutorial is a plain Markdown page, one of ``executed_pages`` in ``conf.py``. Its ``python`` blocks
are run in order in one new process and an empty folder. After each block, the site has the text and
the figures of Matplotlib that the block produced. A ``text`` block on the page shows readers of the
source what is printed; the site replaces it by the output itself. A block that fails is a warning,
so that the build with ``-W`` fails.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

FENCE = re.compile(r"^```(python|text)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
PICTURES = "docs/generated"
logger = logging.getLogger(__name__)


def run_tutorial(app: Sphinx, docname: str, source: list[str]) -> None:
    """Insert the results of the blocks into the source of a tutorial."""
    if not any(fnmatch(docname, pattern) for pattern in app.config.executed_pages):
        return
    blocks = [code for kind, code in FENCE.findall(source[0]) if kind == "python"]
    pictures = Path(app.srcdir) / PICTURES
    pictures.mkdir(exist_ok=True)
    results = iter(run(blocks, pictures / docname.rpartition("/")[2], docname))

    def with_result(found: re.Match[str]) -> str:
        if found[1] == "text":
            return ""
        text, figures = next(results, ("", []))
        shown = [found[0]]
        if text:
            shown.append(f"```{{code-block}} text\n:class: output\n\n{text.rstrip()}\n```\n")
        shown += [f"![{alt}](/{PICTURES}/{path})\n" for alt, path in figures]
        return "\n".join(shown)

    source[0] = FENCE.sub(with_result, source[0])


def run(blocks: list[str], stem: Path, docname: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Run blocks of code in one process, and return the text and the figures of each.

    Parameters
    ----------
    blocks : list of str
    stem : Path
        The figures are saved as this path with a number and ``.png`` appended.
    docname : str
        The page, for the warning if a block fails.

    Returns
    -------
    list of (str, list of (str, str))
        The printed text, and the title and the file name of each figure. Blocks after one that
        fails are missing.
    """
    env = os.environ | {"MPLBACKEND": "agg", "ANYNET_BACKEND": "numpy"}
    if data := env.get("ANYNET_DATA_DIR"):
        env["ANYNET_DATA_DIR"] = str(Path(data).resolve())
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, __file__, str(stem)],
            input=json.dumps(blocks), cwd=folder, env=env, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    if ended.returncode != 0:
        logger.warning("a block of the tutorial fails: %s", ended.stderr, location=docname)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def _run_here(stem: Path) -> None:
    """Run the blocks from the standard input, and write a line of JSON for each."""
    import contextlib
    import io
    import warnings

    import matplotlib.pyplot as plt

    plt.rcParams.update({"figure.dpi": 110, "savefig.bbox": "tight"})
    warnings.showwarning = lambda message, category, *_: print(f"{category.__name__}: {message}")
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for at, code in enumerate(json.load(sys.stdin)):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, f"block {at + 1} of {stem.name}", "exec"), names)
        figures = []
        for number in plt.get_fignums():
            figure, path = plt.figure(number), f"{stem}-{(count := count + 1)}.png"
            figure.savefig(path)
            title = figure.get_suptitle() or next((ax.get_title() for ax in figure.axes), "")
            figures.append((title, Path(path).name))
        plt.close("all")
        print(json.dumps([printed.getvalue(), figures]), flush=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Run tutorials as their sources are read."""
    app.add_config_value("executed_pages", [], "env")
    app.connect("source-read", run_tutorial)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    _run_here(Path(sys.argv[1]))
