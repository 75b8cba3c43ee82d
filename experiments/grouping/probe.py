r"""One cheap selection on a model with very many actions.

Problem       Into how many intervals should A ordered actions be grouped, for A up to a million?
Algorithm     Actions are points x = a / (A - 1); kernels and rewards are mixtures
              P(. | s, a) = sum_k b_k(x) D_k(. | s),   r(s, a) = sum_k b_k(x) U_k(s)          (1)
              with b_k the hat functions of KNOTS even knots, so that nothing depends on A but
              the spacing. The selection draws pairs of actions, see `solvers.grouping.cheap`.
Guarantee     None beyond smoothness in x, which holds here.
Cost          Independent of A.
Deviations    Looks at MOST_GROUPS groups at most, the same for every A.
References    After Li, Ju and Shroff (2024) for the question.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import CLOCK, Row, Streams
from experiments.grouping.cells import Probe
from solvers.grouping import cheap_selection

STATES, KNOTS, GAMMA = 4, 3, 0.7
SAMPLES, PROBES = 10**6, 100
MOST_GROUPS = 32


@dataclass(frozen=True)
class SmoothActions:
    """A generative model whose kernels and rewards vary smoothly with the action, equation (1).

    Parameters
    ----------
    laws : (KNOTS, S, S) float64
        D_k.
    rewards : (KNOTS, S) float64
        U_k.
    n_actions : int
        A.
    gamma : float
        Discount.
    """

    laws: NDArray[np.float64]
    rewards: NDArray[np.float64]
    n_actions: int
    gamma: float

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.laws.shape[1]

    def law(self, s: int, a: int) -> tuple[NDArray[np.float64], float]:
        """Return P(. | s, a) and r(s, a)."""
        place = (len(self.laws) - 1) * a / max(self.n_actions - 1, 1)
        hats = np.maximum(1.0 - np.abs(place - np.arange(len(self.laws))), 0.0)
        return hats @ self.laws[:, s], float(hats @ self.rewards[:, s])  # (1)

    def sample(
        self, s: int, a: int, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], float]:
        """Return how often each successor came, and the mean reward."""
        p, r = self.law(s, a)
        return rng.multinomial(n, p / max(p.sum(), 1.0)), rng.binomial(n, min(r, 1.0)) / n


def smooth_actions(n_actions: int, rng: np.random.Generator) -> SmoothActions:
    """Draw a model; the same generator gives the same functions of x for every A."""
    laws = rng.dirichlet(np.ones(STATES), size=(KNOTS, STATES))
    return SmoothActions(laws, rng.random((KNOTS, STATES)), n_actions, GAMMA)


def run(cell: Probe, streams: Streams) -> Row:
    """Return the number of groups, the samples it took, and on the clock the seconds."""
    model = smooth_actions(cell.n_actions, streams.instance)
    began = time.process_time()
    found = cheap_selection(model, SAMPLES, streams.env, most_groups=MOST_GROUPS, probes=PROBES)
    return {
        "groups": found.n_groups,
        "samples": found.samples,
        CLOCK: {"seconds": time.process_time() - began},
    }
