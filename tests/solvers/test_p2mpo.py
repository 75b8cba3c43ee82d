"""P2MPO: enumeration of policies, confidence sets, limits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import solvers
from mdplib import TabularMDP
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.linear_offline import LinearData
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.robust import Robustness
from solvers.robust import p2mpo
from solvers.robust.planning import robust_planning
from tests import regression_oracle


def several(seed, count=3, S=3, A=2, d=3, H=2):
    rng = np.random.default_rng(seed)
    first = regression_oracle.simplex_mdp(rng, S, A, d, H, concentration=0.2)
    first = first.with_mu(rng.dirichlet(np.full(S, 0.2), size=(H, d)))
    turned = [first.with_mu(np.roll(first.mu, turn, axis=1)) for turn in range(1, count)]
    return [first, *turned]


def enumerate_policies(models, robustness) -> float:
    features, H = models[0].features, models[0].horizon
    ptr = features.state_ptr
    choices = [range(ptr[s], ptr[s + 1]) for s in range(features.n_states)]
    best = -np.inf
    for steps in itertools.product(itertools.product(*choices), repeat=H):
        policy = MarkovPolicy(
            tuple(DeterministicPolicy(np.array(k), features.action_id[list(k)]) for k in steps)
        )
        worst = min(
            model.initial @ robust_planning(model, robustness, policy=policy).value[0]
            for model in models
        )
        best = max(best, worst)
    return best


@pytest.mark.parametrize("divergence", ["tv", "kl"])
def test_equals_enumeration(divergence):
    gaps = []
    for seed in range(4):
        models = several(seed)
        robustness = Robustness(divergence, 0.15, "ball")
        found = solvers.p2mpo(models, robustness)
        exact = enumerate_policies(models, robustness)
        assert found.value == pytest.approx(exact, abs=1e-9)
        assert found.gap <= 2e-9
        reached = [
            model.initial @ robust_planning(model, robustness, policy=found.policy).value[0]
            for model in models
        ]
        np.testing.assert_allclose(found.values, reached, atol=1e-10)
        assert found.value == pytest.approx(min(reached), abs=1e-10)
        optima = [m.initial @ robust_planning(m, robustness).value[0] for m in models]
        gaps.append(min(optima) - exact)
    assert max(gaps) > 1e-4  # the search had something to do


def test_one_model_is_robust_planning():
    model = several(9)[0]
    robustness = Robustness("tv", 0.3)
    found = solvers.p2mpo([model], robustness)
    assert found.value == pytest.approx(model.initial @ robust_planning(model, robustness).value[0])


def test_tabular_models():
    rng = np.random.default_rng(3)
    P = rng.dirichlet(np.ones(2), size=(2, 2, 2))
    r = rng.random((2, 2))
    models = [TabularMDP.from_dense(one, r, gamma=1.0, horizon=2, initial=[0.5, 0.5]) for one in P]
    robustness = Robustness("kl", 0.1, "ball")
    found = solvers.p2mpo(models, robustness)
    values = [robust_planning(m, robustness, policy=found.policy).value[0].mean() for m in models]
    assert found.value == pytest.approx(min(values), abs=1e-9)


def test_confidence_set():
    models = several(4, count=4, S=4, d=4)
    data = LinearData.collect(models[0], models[0].uniform, 400, np.random.default_rng(0))
    robustness = Robustness("tv", 0.1, "ball")
    found = solvers.p2mpo(models, robustness, data=data, confidence=5.0)
    assert found.kept == (0,)
    assert solvers.p2mpo(models, robustness, data=data).kept == (0, 1, 2, 3)
    total = 0.0
    for h in range(2):
        for k, t in zip(data.pair[h], data.next[h], strict=True):
            total += np.log(models[0].kernel(h)[k, t])
    assert p2mpo.log_likelihood(models[0], data) == pytest.approx(total)
    with pytest.raises(NotApplicableError, match="data"):
        solvers.p2mpo(models, robustness, confidence=1.0)


def test_limit_of_nodes_leaves_a_true_bracket():
    for seed in range(4):
        models = several(seed)
        robustness = Robustness("tv", 0.15, "ball")
        exact = solvers.p2mpo(models, robustness).value
        cut = solvers.p2mpo(models, robustness, max_nodes=1)
        assert cut.value <= exact + 1e-9
        assert exact <= cut.upper + 1e-9


def test_bad_lists():
    with pytest.raises(InvalidModelError, match="empty"):
        solvers.p2mpo([], Robustness("tv", 0.1))
    with pytest.raises(InvalidModelError, match="model 1"):
        solvers.p2mpo([several(0)[0], several(0, H=3)[0]], Robustness("tv", 0.1))
