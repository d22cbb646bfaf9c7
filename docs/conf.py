"""The documentation site: the pages beside this file, the commands' help and the docstrings.

`make docs` builds it into `docs/_build`. Nothing is fetched, neither now nor by a page when it is
read.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `tools`

import bitcliff

project = "Bitcliff"
author = "the Bitcliff authors"
copyright = author
version = release = bitcliff.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "tools.record_fields",
]
exclude_patterns = ["_build"]
smartquotes = False  # they would make one dash of an option's two
default_role = "code"  # docstrings set code in single backticks, as Markdown does

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nb_execution_mode = "off"  # its outputs are kept in it, and a test makes them anew

html_theme = "furo"
html_title = f"Bitcliff {release}"
html_copy_source = False
html_show_sourcelink = False


def for_keyboards_and_readers(*told: Any) -> None:
    """Wide code can be scrolled by keys, and headings of the menu have a level."""
    context: dict[str, Any] = told[3]
    for part, without, complete in (
        ("body", "<pre>", '<pre tabindex="0">'),
        ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
    ):
        if part in context:
            context[part] = context[part].replace(without, complete)


def setup(app: Any) -> None:
    """Called by Sphinx; after Furo, which makes the menu."""
    app.connect("html-page-context", for_keyboards_and_readers, priority=900)
