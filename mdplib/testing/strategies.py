"""Hypothesis strategies for tabular models (extra ``testing``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mdplib.errors import MissingExtraError
from mdplib.tabular import TabularMDP
from mdplib.testing import family

try:
    from hypothesis import strategies as st
except ImportError:
    raise MissingExtraError("testing", "hypothesis") from None

T = TypeVar("T")


@st.composite
def _one(draw: st.DrawFn, make: Callable[[family.Source], T]) -> T:
    """Draw one thing in a span of its own, which hypothesis can delete."""
    return make(_HypothesisSource(draw))


@dataclass(frozen=True)
class _HypothesisSource:
    """Draws recorded by hypothesis, which shrinks integers to `low` and choices to the first."""

    draw: st.DrawFn

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.draw(st.integers(0, len(options) - 1))]

    def several(self, low: int, high: int, make: Callable[[family.Source], T]) -> list[T]:
        # "One more?" before each, so that any one can be deleted; `st.lists` is far slower here.
        made: list[T] = []
        while len(made) < low or (len(made) < high and self.integer(0, 3)):
            made.append(self.draw(_one(make)))
        return made


@st.composite
def tabular_mdps(
    draw: st.DrawFn,
    max_states: int = 6,
    max_actions: int = 3,
    gammas: Sequence[float] = family.GAMMAS,
) -> TabularMDP:
    """Draw a discounted model of the family of `mdplib.testing.family`.

    Parameters
    ----------
    draw : callable
        Supplied by hypothesis; leave it out.
    max_states, max_actions : int
        Largest number of states, and of actions per state.
    gammas : sequence of float
        Discount factors to choose from; examples shrink to the first.

    Returns
    -------
    SearchStrategy of TabularMDP

    Raises
    ------
    MissingExtraError
        Without hypothesis (extra ``testing``).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(tabular_mdps(max_states=3))
    ... def test(mdp):
    ...     assert mdp.n_states <= 3
    >>> test()
    """
    source = _HypothesisSource(draw)
    return family.discounted_model(source, family.Size(max_states, max_actions), gammas)


@st.composite
def finite_horizon_mdps(
    draw: st.DrawFn,
    max_states: int = 5,
    max_actions: int = 3,
    max_horizon: int = 4,
    gammas: Sequence[float] = family.FINITE_GAMMAS,
) -> TabularMDP:
    """Draw a finite-horizon model: stationary, with rewards per step, or with kernels per step.

    Parameters
    ----------
    draw : callable
        Supplied by hypothesis; leave it out.
    max_states, max_actions, max_horizon : int
        Largest dimensions; actions are counted per state.
    gammas : sequence of float
        Discount factors to choose from; examples shrink to the first.

    Returns
    -------
    SearchStrategy of TabularMDP

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(finite_horizon_mdps(max_horizon=2))
    ... def test(mdp):
    ...     assert mdp.horizon in (1, 2)
    >>> test()
    """
    source = _HypothesisSource(draw)
    size = family.Size(max_states, max_actions, max_horizon)
    return family.finite_horizon_model(source, size, gammas)
