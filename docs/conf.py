"""The documentation site: the pages beside this file, the commands' help and the docstrings.

`make docs` builds it into `docs/_build`. Nothing is fetched, neither now nor by a page when it is
read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # record_fields

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
    "record_fields",
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
