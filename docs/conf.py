"""Configuration of the documentation site; CONTRIBUTING.md has the command that builds it.

The source folder of Sphinx is the root of the repository, so that the relative links of the pages
lead to the same files as on the repository's host. ``docs/_site`` contains the extensions.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_site"))

import anynet

project = "anynet"
version = release = anynet.__version__
author = copyright = "The anynet maintainers"
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    # those of docs/_site
    "docstrings",
    "draw",
    "execute",
    "link_check",
    "literal_links",
    "results",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "bench/README.md",
    "bench/results/**",
    "recipes/README.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/_site"]
templates_path = [str(Path(__file__).parent / "_site/templates")]
nitpicky = True
nitpick_ignore = [("py:class", "collections.abc.Callable")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # types are in the numpydoc sections
autodoc_member_order = "bysource"
autosummary_generate = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the class template lists them
python_display_short_literal_types = True
default_role = "code"
executed_pages = ["docs/tutorials/*", "docs/training"]

copybutton_prompt_text = ">>> |... |$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = False

html_theme = "pydata_sphinx_theme"
html_title = "anynet"
html_static_path = ["_site/static"]
html_extra_path = ["_site/redirect"]
html_css_files = ["anynet.css"]
html_sidebars = {page: [] for page in ("docs/index", "README", "CHANGELOG")}
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "anynet"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}


def name_links(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:  # noqa: ARG001
    """Name the links to the README by what it is for: its title is that of the project."""
    for link in (context.get("prev"), context.get("next")):
        if link and link["title"] == project:
            link["title"] = "Getting started"


def setup(app: Any) -> None:
    """Connect the functions above."""
    app.connect("html-page-context", name_links)
