"""Sphinx configuration."""

from importlib.metadata import version as installed

project = "mdplib"
author = "The mdplib authors"
release = installed("mdplib")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"mdplib {release}"
