"""Sphinx configuration."""

from importlib.metadata import version as installed

from sphinx.addnodes import pending_xref

project = "mdplib"
author = "The mdplib authors"
copyright = "2026, the mdplib authors"
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
autodoc_default_options = {"members": True, "undoc-members": False}
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]  # some names are public in two places
html_theme = "furo"
html_theme_options = {"light_css_variables": {"code-font-size": "72%"}}  # 100 columns fit
html_title = f"mdplib {release}"


def show_summary_as_written(app, what, name, obj, options, lines):
    """Keep the summary of an algorithm, with its formulas, as it is laid out in the source."""
    start = next((i for i, line in enumerate(lines) if line.split("  ")[0] == "Problem"), None)
    if what == "module" and start is not None:
        lines[start:] = ["::", "", *("    " + line for line in lines[start:]), ""]


def leave_words_alone(app, doctree):
    """Make no link of a lower-case word in a type, such as the n of ``(n,) float64``."""
    for node in list(doctree.findall(pending_xref)):
        word = node.get("reftarget", "")
        if node.get("refdomain") == "py" and node.get("reftype") == "class" and word.islower():
            node.replace_self(node.children)


def setup(app):
    """Register the hooks."""
    app.connect("autodoc-process-docstring", show_summary_as_written)
    app.connect("doctree-read", leave_words_alone)
