"""Small random models whose numbers are dyadic, and ways to break them.

Probabilities are multiples of 1/64 and rewards of 1/16, so rows sum to one exactly in floating
point and the passage to rational numbers changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bounds.arithmetic import zeros
from bounds.instance import Instance
from bounds.model import Array, Model, pointers
from bounds.theorem import Scale

COUNTS: Mapping[Scale, int] = {"smoke": 8, "default": 60, "paper": 400}
FEW: Mapping[Scale, int] = {"smoke": 2, "default": 4, "paper": 12}
DISCOUNTS = (0.25, 0.5, 0.75, 0.875, 0.9375, 0.96875)
GRAIN = 64


def ragged(
    rng: np.random.Generator,
    *,
    n_states: int = 4,
    max_actions: int = 3,
    gamma: float = 0.75,
    horizon: int | None = None,
) -> Model:
    """Draw a model with one to `max_actions` actions per state.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_states : int
        Number of states.
    max_actions : int
        Most actions of a state.
    gamma : float
        Discount factor.
    horizon : int, optional
        Number of steps; rewards then change with the step and terminal rewards are drawn.

    Returns
    -------
    Model
        Rewards in [0, 1]; about half of the successors of a pair have probability zero.

    Examples
    --------
    >>> set(ragged(np.random.default_rng(0), n_states=3).P.sum(axis=1).tolist())
    {1.0}
    """
    ptr = pointers(rng.integers(1, max_actions + 1, size=n_states).tolist())
    pairs = int(ptr[-1])
    weights = rng.exponential(size=(pairs, n_states)) * (rng.random((pairs, n_states)) < 0.5)
    weights[np.arange(pairs), rng.integers(n_states, size=pairs)] += 1.0
    P = rng.multinomial(GRAIN, weights / weights.sum(axis=1, keepdims=True)) / GRAIN
    shape = (pairs,) if horizon is None else (horizon, pairs)
    r = rng.integers(0, 17, size=shape) / 16
    last = None if horizon is None else rng.integers(0, 17, size=n_states) / 16
    return Model(P, r, ptr, gamma, horizon, last)


def discounted(rng: np.random.Generator, n: int) -> Iterator[Model]:
    """Draw n discounted models of two to six states.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        How many.

    Yields
    ------
    Model
        With discount factors from 1/4 to 31/32.
    """
    for i in range(n):
        yield ragged(rng, n_states=int(rng.integers(2, 7)), gamma=DISCOUNTS[i % len(DISCOUNTS)])


def finite(rng: np.random.Generator, n: int) -> Iterator[Model]:
    """Draw n finite-horizon models of two to five states, up to eight steps, discounted or not.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        How many.

    Yields
    ------
    Model
        Every other one is undiscounted.
    """
    for i in range(n):
        yield ragged(
            rng,
            n_states=int(rng.integers(2, 6)),
            gamma=1.0 if i % 2 else 0.75,
            horizon=int(rng.integers(1, 9)),
        )


def vector(rng: np.random.Generator, *shape: int, scale: float = 4.0) -> Array:
    """Draw multiples of scale / 64 between -scale and scale.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    *shape : int
        Shape of the result.
    scale : float
        Largest absolute value, a power of two.

    Returns
    -------
    ndarray
        Dyadic numbers.
    """
    return rng.integers(-64, 65, size=shape) * (scale / 64)


def policy(rng: np.random.Generator, model: Model) -> Array:
    """Draw the weights of a randomised policy, (K,), or (H, K) for a finite horizon.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    model : Model
        Gives the pairs.

    Returns
    -------
    ndarray
        Multiples of 1/16.
    """
    steps = model.horizon or 1
    weights = np.zeros((steps, model.n_pairs))
    for h in range(steps):
        for first, last in zip(model.state_ptr[:-1], model.state_ptr[1:], strict=True):
            size = int(last - first)
            weights[h, first:last] = rng.multinomial(16, np.full(size, 1 / size)) / 16
    return weights if model.horizon is not None else weights[0]


def nearby(rng: np.random.Generator, model: Model, share: float = 1 / 16) -> Model:
    """Draw a model close to another: transitions mixed with others, rewards moved.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    model : Model
        The centre.
    share : float
        Weight of the other transitions, a power of two.

    Returns
    -------
    Model
        Same pairs, discount, horizon and terminal rewards.
    """
    other = rng.multinomial(GRAIN, np.full(model.n_states, 1 / model.n_states), size=model.n_pairs)
    return model.replace(
        P=(1 - share) * model.P + share * other / GRAIN,
        r=model.r + vector(rng, *model.r.shape, scale=0.125),
    )


def anchor() -> Model:
    """Return a model with gamma = 1/2 and V* = (2, 1), dyadic like its data.

    Returns
    -------
    Model
        State 0 stays for reward 1; state 1 goes there for nothing or stays for 1/4.

    Examples
    --------
    >>> from bounds.arithmetic import optimal_value
    >>> optimal_value(anchor())
    array([2., 1.])
    """
    return Model([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 0.0, 0.25], [0, 1, 3], 0.5)


def example(horizon: int | None = None) -> Model:
    """Return one fixed model for examples and for refuting mutants.

    Parameters
    ----------
    horizon : int, optional
        Number of steps.

    Returns
    -------
    Model
        Four states, three-quarters discount (none over a finite horizon).
    """
    gamma = 0.75 if horizon is None else 1.0
    return ragged(np.random.default_rng(20), n_states=4, gamma=gamma, horizon=horizon)


def broken_model(instance: Instance) -> dict[str, Instance]:
    """Return copies of an instance that break the hypotheses on the model itself.

    Parameters
    ----------
    instance : Instance
        A sound instance.

    Returns
    -------
    dict
        Keys "distribution", and "discount" or "horizon".
    """
    model = instance.model
    extra = zeros(model, model.n_pairs, model.n_states)
    extra[0, 0] = 0.25
    wrong = "discount" if model.horizon is None else "horizon"
    return {
        "distribution": instance.with_model(model.replace(P=model.P + extra)),
        wrong: instance.with_model(model.replace(gamma=1.0 if model.horizon is None else 1.25)),
    }


def broken_values(instance: Instance, changes: Mapping[str, Any]) -> dict[str, Instance]:
    """Return one copy of an instance per parameter, with that parameter replaced.

    Parameters
    ----------
    instance : Instance
        A sound instance.
    changes : mapping
        Wrong value of each parameter.

    Returns
    -------
    dict
        Same keys.
    """
    return {name: instance.with_values({name: value}) for name, value in changes.items()}
