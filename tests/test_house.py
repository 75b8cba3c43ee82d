"""The rules of the house that a script can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import solvers

ROOT = Path(__file__).parent.parent
PACKAGES = ("mdplib", "solvers", "bounds", "experiments")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
HEADINGS = ("Problem", "Algorithm", "Guarantee", "Cost", "Deviations", "References")
TAG = re.compile(r"# \((\d{1,2})\)")


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path):
    assert docstring(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_equation_numbers_in_code_and_docstring_agree(path: Path):
    code = path.read_text()
    used = set(TAG.findall(code))
    if used:
        declared = set(re.findall(r"\((\d{1,2})\)", docstring(path)))
        assert used == declared, (
            f"in the code only: {used - declared}; in the text only: {declared - used}"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_readable(path: Path):
    assert len(path.read_text().splitlines()) <= 420


@pytest.mark.parametrize("module", sorted({m.module for m in solvers.METHODS.values()}))
def test_algorithms_have_the_six_headings(module: str):
    text = docstring(ROOT / (module.replace(".", "/") + ".py"))
    assert [h for h in HEADINGS if re.search(rf"^{h}\b", text, re.M)] == list(HEADINGS)


def test_solvers_name_theorems_of_the_catalogue():
    from bounds.catalogue import CATALOGUE

    found = set()
    for path in (ROOT / "solvers").rglob("*.py"):
        for names in re.findall(r"guarantees[^=]*=\s*\(([^)]*)\)", path.read_text()):
            for name in re.findall(r'"([^"]+)"', names):
                found.add(name)
    assert found
    assert found <= set(CATALOGUE)


def test_no_global_randomness():
    loose = re.compile(r"np\.random\.(?!default_rng|Generator|SeedSequence|PCG64|Philox)\w")
    for path in [*FILES, *(ROOT / "tests").rglob("*.py")]:
        hits = [line for line in path.read_text().splitlines() if loose.search(line)]
        assert path == Path(__file__) or not hits, (path, hits)


def test_every_target_of_the_makefile_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / page).read_text()))
        assert named <= targets, named - targets


def test_the_command_answers_help():
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    for command in ("solve", "list", "check", "reproduce", "report", "status"):
        assert command in done.stdout
