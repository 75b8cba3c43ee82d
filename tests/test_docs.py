"""The Python examples of the pages run, in the order in which they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "docs/guide.md",
    "docs/certificates.md",
    "docs/robust.md",
    "docs/bandits.md",
    "docs/restless.md",
    "docs/grouping.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_the_guide_names_every_method():
    from solvers import METHODS

    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "guide.md").read_text(), re.M)
    assert set(METHODS) == set(table) - {"stored", "simplest"}
