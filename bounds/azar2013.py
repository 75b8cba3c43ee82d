r"""The minimax rate of planning with a generative model.

Problem
-------
n samples per pair, rewards in [0, 1]: how does ||Q* - Qhat*|| fall with n, and how does it grow
with the horizon 1 / (1 - gamma)?

Algorithm
---------
Plan in the empirical model, as in `bounds.plugin`.

Guarantee
---------
For a universal constant C, with probability at least 1 - delta,

    ||Q* - Qhat*|| <= C sqrt(log(K / delta) / ((1 - gamma)^3 n)),                            (1)

so the slope in n is at most -1/2 and the slope in 1 / (1 - gamma) at most 3/2. No method does
better: on a state of reward 1 that survives with probability

    p = (4 gamma - 1) / (3 gamma)                                                          (2)

the value is V = 1 / (1 - gamma p) = 3 / (4 (1 - gamma)) and the standard error of its estimate is
about gamma V^2 sqrt(p (1 - p) / n), of order (1 - gamma)^{-3/2} n^{-1/2}.

Cost
----
n_runs plans per grid point.

Deviations
----------
Only the rates are tested, since C is not specified. The 0.9 quantile stands for delta = 0.1. The
source proves (1) for Q; for the value of the plan itself over the full range of accuracies see
agarwal2020. Sample sizes at fixed accuracy grow like the cube of the horizon: the square of slope
3/2.

References
----------
azar2013, upper and lower bounds; agarwal2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.hypotheses import DELTA, DISCOUNT, DISTRIBUTION, SAMPLES
from bounds.instance import Instance
from bounds.model import Model
from bounds.plugin import draw, q_error
from bounds.random_models import FEW, broken_model, broken_values, ragged
from bounds.theorem import Entry, Hypothesis, Rate, Scale, Theorem

SAMPLE_GRID = tuple(2.0**k for k in (8, 12, 16, 20))
HORIZON_GRID = tuple(25.0 * 4.0**k for k in range(6))
MANY_SAMPLES = 10**10


def hard_model(gamma: float) -> Model:
    """Return a state that pays 1 and survives with probability p, and a state that pays nothing.

    Parameters
    ----------
    gamma : float
        Discount factor, at least 1/4 so that p is a probability.

    Returns
    -------
    Model
        Its value in state 0 is 3 / (4 (1 - gamma)).

    Examples
    --------
    >>> from bounds.arithmetic import optimal_value
    >>> optimal_value(hard_model(0.9)).round(12)
    array([7.5, 0. ])
    """
    p = (4.0 * gamma - 1.0) / (3.0 * gamma)  # (2)
    return Model([[p, 1.0 - p], [0.0, 1.0]], [1.0, 0.0], [0, 1, 2], gamma)


def _at_n(instance: Instance, x: float) -> Instance:
    return instance.with_values({"n": int(x)})


def _at_horizon(instance: Instance, x: float) -> Instance:
    gamma = 1.0 - 1.0 / x
    model = instance.model.replace(gamma=gamma)
    return instance.with_model(hard_model(gamma) if instance["hard"] else model)


def _shape(instance: Instance) -> float:
    horizon = 1.0 / (1.0 - float(instance.model.gamma))
    logarithm = np.log(instance.model.n_pairs / instance["delta"])
    return float(np.sqrt(logarithm * horizon**3 / instance["n"]))  # (1)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i in range(FEW[scale] // 2):
        model = ragged(rng, n_states=3, gamma=0.75)
        yield Instance(model, {"n": MANY_SAMPLES, "delta": 0.1, "hard": False}, f"random {i}")
    yield _tight()


def _tight() -> Instance:
    values = {"n": MANY_SAMPLES, "delta": 0.1, "hard": True}
    return Instance(hard_model(0.75), values, "hard family")


def _broken() -> dict[str, Instance]:
    model = _tight().model
    return (
        broken_model(_tight())
        | broken_values(_tight(), {"delta": 0.0})
        | {
            "samples": _tight().with_values({"n": 0}),
            "rewards": _tight().with_model(model.replace(r=[2.0, 0.0])),
        }
    )


_REWARDS = Hypothesis(
    "rewards",
    "rewards lie in [0, 1]",
    lambda instance: bool((instance.model.r >= 0).all() and (instance.model.r <= 1).all()),
)
_by_n = Rate("n", -0.5, _at_n, lambda instance: SAMPLE_GRID)
_by_horizon = Rate("1 / (1 - gamma)", 1.5, _at_horizon, lambda instance: HORIZON_GRID)
_samples = Theorem(
    id="azar2013:rate_samples",
    statement=r"$\|Q^* - \hat Q^*\|_\infty = O(n^{-1/2})$ with high probability",
    source="Upper bound of the sample complexity of model-based value iteration",
    kind="rate",
    hypotheses=(DISTRIBUTION, DISCOUNT, _REWARDS, SAMPLES, DELTA),
    lhs=q_error,
    rhs=_shape,
    sample=draw,
    rate=_by_n,
    constants="universal",
)
RATE_SAMPLES = Entry(
    theorem=_samples,
    instances=_instances,
    tight=_tight,
    tightness=-0.55,
    mutant=_samples.mutant(statement="rate 1 / n", rate=replace(_by_n, exponent=-1.0)),
    broken=_broken,
)

_horizon = Theorem(
    id="azar2013:rate_horizon",
    statement=r"$\|Q^* - \hat Q^*\|_\infty = O((1-\gamma)^{-3/2})$ at fixed $n$, "
    r"with high probability",
    source="Upper bound of the sample complexity of model-based value iteration",
    kind="rate",
    hypotheses=(DISTRIBUTION, DISCOUNT, _REWARDS, SAMPLES, DELTA),
    lhs=q_error,
    rhs=_shape,
    sample=draw,
    rate=_by_horizon,
    constants="universal",
)
RATE_HORIZON = Entry(
    theorem=_horizon,
    instances=_instances,
    tight=_tight,
    tightness=1.45,
    mutant=_horizon.mutant(
        statement="linear in the horizon", rate=replace(_by_horizon, exponent=1.0)
    ),
    broken=_broken,
)
