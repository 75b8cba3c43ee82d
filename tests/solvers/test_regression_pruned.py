"""Sweeps that rule out chunks give the same maxima as full sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from solvers import Compat
from solvers.robust import inner, pruned
from solvers.robust.regression import Step, fit


@pytest.mark.parametrize("method", ["chi2_penalty", "tv_ball"])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_pruned_equals_full(monkeypatch, method, clip, seed):
    rng = np.random.default_rng(seed)
    d, m = 5, int(rng.integers(60, 3000))
    mass = rng.dirichlet(np.full(d, 0.3), size=m)
    v = np.round(rng.random(m) * 3, int(rng.choice([1, 12])))  # ties, or none
    ridge = float(rng.choice([1e-3, 1.0, 30.0]))
    one = fit(Step(mass.T @ mass, np.arange(m), mass, m), ridge)
    vmin = float(rng.choice([0.0, v.min()]))
    cap = float(rng.choice([3.0, 0.9]))
    problem = inner.Inner(one, v, vmin, cap, 3, Compat(dual_clip=clip))
    strength = rng.choice([0.02, 0.1, 0.5, 3.0], size=d)
    full = getattr(problem, method)(strength)
    monkeypatch.setattr(inner, "_WORTHWHILE", 1)
    monkeypatch.setattr(pruned, "CHUNK", int(rng.choice([16, 50])))
    calls = []
    kept = pruned.maxima
    monkeypatch.setattr(pruned, "maxima", lambda *a, **k: calls.append(1) or kept(*a, **k))
    np.testing.assert_allclose(getattr(problem, method)(strength), full, atol=1e-10)
    assert calls
