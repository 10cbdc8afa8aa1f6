"""Sphinx with MyST and Furo. Warnings are errors: see the Makefile."""

from rigwise import __version__

project = "rigwise"
author = "the rigwise authors"
project_copyright = "the rigwise authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"rigwise {version}"
html_show_sphinx = False
autodoc_typehints = "none"
