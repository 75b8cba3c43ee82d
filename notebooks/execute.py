"""Check that each percent script and its notebook hold the same cells, and execute them.

Executed copies go to results/notebooks. With ``--sync`` the notebooks are written anew from the
scripts, without outputs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "results" / "notebooks"


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Kind and source of every cell."""
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def sync(script: Path) -> None:
    """Write the notebook of a script, with stable cell identifiers."""
    notebook = jupytext.read(script)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    nbformat.write(notebook, script.with_suffix(".ipynb"))


def execute(script: Path) -> None:
    """Check the pairing and run the notebook from top to bottom."""
    paired = script.with_suffix(".ipynb")
    if not paired.exists() or cells(nbformat.read(paired, 4)) != cells(jupytext.read(script)):
        sys.exit(f"{paired.name} differs from {script.name}; run notebooks/execute.py --sync")
    notebook = nbformat.read(paired, 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(HERE)}}).execute()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, OUTPUT / paired.name)
    print(f"{paired.name}: {len(notebook.cells)} cells executed")


def main() -> None:
    """Run every notebook, or synchronise them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sync", action="store_true", help="write the notebooks from the scripts")
    action = sync if parser.parse_args().sync else execute
    if sys.platform == "win32":
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    for script in sorted(HERE.glob("[0-9]*.py")):
        action(script)


if __name__ == "__main__":
    main()
