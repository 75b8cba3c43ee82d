"""The rational value of real environments lies inside every method's bounds."""

from __future__ import annotations

from fractions import Fraction

import pytest

import solvers
from mdplib import Status
from mdplib.io import from_gymnasium

ENVIRONMENTS = ["FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4", "CliffWalking-v1"]
METHODS = [n for n, m in solvers.METHODS.items() if "discounted" in m.requires]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_bounds_hold_the_rational_value(name: str):
    mdp = from_gymnasium(name, gamma=0.99)
    exact = solvers.solve(mdp, "exact").exact
    assert exact is not None
    for method in METHODS:
        solution = solvers.solve(mdp, method, tol=1e-9)
        assert solution.status is Status.OPTIMAL, (method, solution.gap)
        for low, x, high in zip(solution.lower, exact, solution.upper, strict=True):
            assert Fraction(float(low)) <= x <= Fraction(float(high)), method
