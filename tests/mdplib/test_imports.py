"""What an import costs, and that every public name is there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mdplib", "solvers", "bounds", "experiments")
HEAVY = (
    "numba",
    "cvxpy",
    "pulp",
    "pandas",
    "matplotlib.pyplot",
    "scipy.stats",
    "highspy",
    "flint",
    "gymnasium",
    "hypothesis",
    "networkx",
)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(statement: str) -> list[str]:
    return run(f"{statement}\nimport sys\nprint(*(m for m in {HEAVY} if m in sys.modules))").split()


@pytest.mark.parametrize("package", PACKAGES)
def test_import_is_light(package: str):
    assert loaded_by(f"import {package}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "from mdplib import TabularMDP; TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5).fingerprint",
        "import mdplib; mdplib.Solution, mdplib.StochasticPolicy, mdplib.read, mdplib.write",
        "import mdplib.certificates, mdplib.operators, mdplib.testing.contracts",
        "import solvers; solvers.solve, solvers.METHODS",
        "from mdplib.testing import random_mdp, check_model, check_solver",
    ],
)
def test_building_a_model_and_naming_a_solver_is_light(statement: str):
    assert loaded_by(statement) == []


def test_the_check_would_notice():
    assert loaded_by("import numba") == ["numba"]


@pytest.mark.parametrize("package", [*PACKAGES, "mdplib.io", "mdplib.models", "mdplib.testing"])
def test_every_public_name_resolves(package: str):
    module = importlib.import_module(package)
    names = list(getattr(module, "__all__", []))
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(module, name) is not None
        assert name in dir(module)


@pytest.mark.parametrize("package", [*PACKAGES, "mdplib.testing", "mdplib._kernels"])
def test_an_unknown_name_is_an_attribute_error(package: str):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
    assert not hasattr(module, "no_such_name")


@pytest.mark.parametrize("package", PACKAGES)
def test_star_import(package: str):
    run(f"from {package} import *")


def test_strategies_without_hypothesis_name_the_extra():
    code = """
import sys
sys.modules["hypothesis"] = None
import mdplib.testing as t
t.random_mdp, t.check_model
from mdplib import MissingExtraError
try:
    t.tabular_mdps
except MissingExtraError as error:
    print(error.extra, error.module, isinstance(error, ImportError))
"""
    assert run(code) == "testing hypothesis True"
