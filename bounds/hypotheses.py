"""Hypotheses that many theorems share."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from bounds.arithmetic import average, one
from bounds.case import Case
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.subject import Subject
from bounds.theorem import Hypothesis

EPS = float(np.finfo(np.float64).eps)


def row_defect(P: Array) -> Any:
    """Return the largest distance of a row sum from one, or 0 for rows that exceed rounding.

    Rows off by more than rounding are off on purpose; the others are an error of the input,
    which the comparison of both sides must forgive.
    """
    defect = np.abs(P.sum(axis=1) - 1).max()
    return defect if defect <= P.shape[1] * EPS else 0 * defect


def is_stochastic(P: Array) -> bool:
    """Tell whether all rows are probability distributions, up to the rounding of their sum."""
    sums = P.sum(axis=1)
    return bool((P >= 0).all() and (np.abs(sums - 1) <= P.shape[1] * EPS).all())


DISTRIBUTION = Hypothesis(
    "distribution",
    "each row of P is a probability distribution",
    lambda instance: is_stochastic(instance.model.P),
)
DISCOUNT = Hypothesis(
    "discount",
    "0 <= gamma < 1 and the horizon is infinite",
    lambda instance: instance.model.horizon is None and bool(0 <= instance.model.gamma < 1),
)
UNDISCOUNTED = Hypothesis(
    "undiscounted",
    "gamma = 1 and the horizon is infinite",
    lambda instance: instance.model.horizon is None and bool(instance.model.gamma == 1),
)
HORIZON = Hypothesis(
    "horizon",
    "H >= 1 steps and 0 <= gamma <= 1",
    lambda instance: (instance.model.horizon or 0) >= 1 and bool(0 <= instance.model.gamma <= 1),
)
DELTA = Hypothesis(
    "delta",
    "0 < delta < 1",
    lambda instance: bool(0 < instance["delta"] < 1),
)
SAMPLES = Hypothesis(
    "samples",
    "each pair is sampled n >= 1 times",
    lambda instance: instance["n"] >= 1,
)


def policy(name: str) -> Hypothesis:
    """Return the hypothesis that a parameter holds the weights of a policy.

    Parameters
    ----------
    name : str
        Parameter of shape (K,), or (H, K).

    Returns
    -------
    Hypothesis
        Non-negative weights that sum to one in each state.
    """

    def check(instance: Instance) -> bool:
        weights = instance[name].reshape(-1, instance.model.n_pairs)
        sums = np.array([average(instance.model, w, ones(instance.model)) for w in weights])
        tolerance = instance.model.n_pairs * EPS
        return bool((weights >= 0).all() and (np.abs(sums - 1) <= tolerance).all())

    return Hypothesis(name, f"{name} is a policy: weights of a state sum to one", check)


def ones(model: Model) -> Array:
    """Return K ones of the model's arithmetic."""
    return np.full(model.n_pairs, one(model), dtype=object if model.is_exact else np.float64)


def second_model(name: str) -> Hypothesis:
    """Return the hypothesis that a parameter is a model of the same shape with proper rows.

    Parameters
    ----------
    name : str
        Parameter that holds a `Model`.

    Returns
    -------
    Hypothesis
        Same pairs, discount, horizon and terminal rewards; rows are distributions.
    """

    def check(instance: Instance) -> bool:
        model, other = instance.model, instance[name]
        same = (
            np.array_equal(model.state_ptr, other.state_ptr)
            and model.gamma == other.gamma
            and model.horizon == other.horizon
            and (model.horizon is None or np.array_equal(model.last, other.last))
        )
        return bool(same and is_stochastic(other.P))

    return Hypothesis(
        name, f"{name} has the same pairs, discount and horizon, and proper rows", check
    )


def allowance(instance: Subject, *sizes: Array) -> float:
    r"""Return a bound on the rounding error of a value computed on the instance.

    A backup of S terms has relative error at most about S u, u the unit roundoff; evaluating a
    policy, or iterating, multiplies it by the norm 1 / (1 - gamma) of the resolvent (the number of
    steps, for a finite horizon; an undiscounted instance brings its own). The same factors carry a
    row sum that is off by rounding into the values.

    Parameters
    ----------
    instance : Instance or Case
        Gives sizes of the model and of the parameters; a case states its own.
    *sizes : ndarray
        Further quantities whose magnitude counts, such as both sides.

    Returns
    -------
    float
        Zero for a rational instance whose rows sum to one exactly.
    """
    if isinstance(instance, Case):
        return instance.allowance(*sizes)
    model = instance.model
    steps = amplification(model) if instance.steps is None else instance.steps
    models = [model, *(v for v in instance.values.values() if isinstance(v, Model))]
    arrays = [v for v in instance.values.values() if isinstance(v, np.ndarray) and v.size]
    seen = max((float(np.abs(x).max()) for x in (*arrays, *sizes)), default=0.0)
    paid = max(float(np.abs(m.r).max()) for m in models)
    if model.horizon is not None:
        paid = max(paid, float(np.abs(model.last).max()))
    defect = max(float(row_defect(m.P)) for m in models)
    roundoff = 0.0 if model.is_exact else 4.0 * EPS * (model.n_states + 8)
    return (roundoff + 4.0 * defect) * max(seen, paid * steps) * steps


def amplification(model: Model) -> float:
    """Return the norm of the map from one-step errors to values: 1 / (1 - gamma), or the steps.

    Parameters
    ----------
    model : Model
        Rows need not sum to one: gamma times the largest row sum takes the place of gamma.

    Returns
    -------
    float
        At least 1.
    """
    if model.horizon is not None:
        return float(model.horizon) + 1.0
    factor = float(model.gamma * np.abs(model.P).sum(axis=1).max())
    return 1.0 / (1.0 - factor) if factor < 1.0 else float("inf")


def within(value: Any, limit: Any, instance: Instance) -> bool:
    """Tell whether value <= limit, up to rounding and the certified gap of the solver.

    Parameters
    ----------
    value, limit : float or Fraction
        Both sides of a hypothesis.
    instance : Instance
        Gives the allowance.

    Returns
    -------
    bool
        Exact comparison on rationals.
    """
    if instance.model.is_exact:
        return bool(value <= limit + Fraction(allowance(instance)))
    return bool(value <= limit + allowance(instance) + instance.radius)
