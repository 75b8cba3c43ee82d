r"""R2PVI and DRPVI on samples that come in blocks: features made on the fly, states unnumbered.

Problem       More samples, or states, than a table of features can hold.
Algorithm     For h = H-1, ..., 0: read the blocks of step h once; add to the Gram matrix     (1)
              value the next states of a block with the parameters of step h+1, once per
              distinct next state;                                                            (2)
              TV and KL penalties: regress their targets on the way. Otherwise keep the features
              of this step alone, (n, d), and solve the inner problem by a sweep.             (3)
Guarantee     As `solvers.robust.r2pvi`; the same numbers as with a table.
Cost          Gram product n d**2 per step by the BLAS, 2 N d for N next pairs. Memory of one block
              for TV and KL penalties; O(n d), twice, for sweeps.
Deviations    Least values over all states are unknown: ``vmin`` is "fail_state" (0, the default)
              or "data".
References    Tang, Liu and Xu (2025), algorithms 1-4.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.robust import Robustness
from mdplib.solution import Stats
from solvers.robust.beta import fixed
from solvers.robust.compat import Compat, resolve
from solvers.robust.inner import Inner, finished, levels, targets
from solvers.robust.regression import ILL_CONDITIONED, Fit, Step, check_ridge, fit
from solvers.robust.result import bonus

Floats = NDArray[np.float64]


class Block(NamedTuple):
    """Some samples of one step.

    Parameters
    ----------
    phi : (m, d) float64
        Features of the pairs played.
    follow : (N, A, d) float64
        Features of all A pairs of the distinct next states.
    reward : (N, A) float64
        Rewards of these pairs at the next step.
    which : (m,) int or None
        Row of `follow` that is each sample's next state, -1 where the episode is over; None if
        the two correspond one to one.
    """

    phi: Floats
    follow: Floats
    reward: Floats
    which: NDArray[Any] | None = None


class Source(Protocol):
    """Samples by step: anything with these attributes.

    `count(h)` is the number of samples of step h. `blocks(h)` yields them; at the last step,
    `follow` is not looked at.
    """

    @property
    def horizon(self) -> int:
        """Number of steps H."""
        ...

    @property
    def dimension(self) -> int:
        """Number of features d."""
        ...

    def count(self, h: int) -> int:
        """Return the number of samples of step h."""
        ...

    def blocks(self, h: int) -> Iterable[Block]:
        """Yield the samples of step h."""
        ...


@dataclass(frozen=True, eq=False)
class FeaturePolicy:
    """A pessimistic policy without a table of states.

    Parameters
    ----------
    w, sigma : (H, d) float64
        Worst-case next values and ``sqrt((Lambda^-1)_ii)`` per coordinate.
    beta : (H,) float64
        Multipliers of the bonus.
    inverse : (H, d, d) float64
        Inverses of the Gram matrices.
    compat : Compat
        Choices.
    stats : Stats
        Effort.
    source_s, source_cpu_s : float
        Seconds of `stats.wall_s` and `stats.cpu_s` spent inside the source.
    """

    w: Floats
    sigma: Floats
    beta: Floats
    inverse: Floats
    compat: Compat
    stats: Stats
    source_s: float = 0.0
    source_cpu_s: float = 0.0

    def q(self, h: int, phi: Floats, reward: Floats) -> Floats:
        """Return the pessimistic Q of rows of features, (m,), for their rewards (m,)."""
        w, compat = self.w[h], self.compat
        if compat.penalty == "sum":
            raw = reward + phi @ (w - self.beta[h] * self.sigma[h])
        else:
            raw = reward + phi @ w
            raw -= bonus(phi, self.sigma[h], self.inverse[h], self.beta[h], compat.penalty)
        low = 0.0 if compat.clip_low else -np.inf
        return np.clip(raw, low, float(self.w.shape[0] - h))

    def values(self, h: int, phi: Floats, reward: Floats) -> Floats:
        """Return the value of states with features (N, A, d) and rewards (N, A) of their pairs."""
        N, A, d = phi.shape
        return self.q(h, phi.reshape(N * A, d), reward.reshape(-1)).reshape(N, A).max(axis=1)


def solve_blocks(
    source: Source,
    robustness: Robustness,
    *,
    beta: float | ArrayLike = 1.0,
    ridge: float = 1.0,
    compat: Compat | None = None,
) -> FeaturePolicy:
    """Run `r2pvi` (penalties) or `drpvi` (balls) on samples that come in blocks.

    Parameters
    ----------
    source : Source
        The samples; rewards in [0, 1].
    robustness : Robustness
        Penalty or ball.
    beta : float or (H,) array
        Multiplier of the bonus.
    ridge : float
        Positive ridge.
    compat : Compat, optional
        Choices; `vmin` "fail_state" by default.

    Returns
    -------
    FeaturePolicy
        Plays the largest ``FeaturePolicy.q`` over the pairs of a state.

    Raises
    ------
    InvalidModelError
        If a step has no samples or a wrong number of them, or numbers are not finite.
    NotApplicableError
        If ``vmin="states"`` is asked for: states are not enumerated here.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib.robust import Robustness
    >>> class Coin:
    ...     horizon, dimension = 2, 2
    ...     def count(self, h):
    ...         return 4
    ...     def blocks(self, h):
    ...         phi = np.array([[1.0, 0.0], [0.0, 1.0]] * 2)
    ...         yield Block(phi, phi[:2, None], np.array([[0.0], [1.0]]), np.array([0, 1, 0, 1]))
    >>> solve_blocks(Coin(), Robustness("tv", 0.5), beta=0.0).w.round(3)
    array([[0.   , 0.333],
           [0.   , 0.   ]])

    References
    ----------
    Tang, Liu and Xu (2025), algorithms 1-4.
    """
    begun = time.perf_counter(), time.process_time()
    check_ridge(ridge)
    choices = resolve(compat, vmin="fail_state") if compat is None else compat
    if choices.vmin == "states":
        raise NotApplicableError("vmin='states' needs a table of states; use 'fail_state'")
    H, d = source.horizon, source.dimension
    strength, rule = robustness.table(H, d), fixed(beta, H)
    w, sigma, betas, inverse = np.zeros((H, d)), np.zeros((H, d)), np.zeros(H), np.zeros((H, d, d))
    found = FeaturePolicy(w, sigma, betas, inverse, choices, Stats(H, 0.0))
    reader, least = _Reader(source), np.inf
    direct = _is_direct(robustness, choices)
    for h in reversed(range(H)):
        target = _Targets(robustness.divergence, strength[h]) if direct else None
        one, v, right = reader.read(h, found, ridge, target)
        sigma[h], inverse[h], least = one.sigma, one.inverse, min(least, one.rcond)
        if h < H - 1 and target is not None:
            w[h] = target.weights(one.solve(right), float(H - h - 1))
        elif h < H - 1:
            vmin = 0.0 if choices.vmin == "fail_state" else float(v.min())
            inner = Inner(one, v, vmin, float(H - h - 1), H, choices)
            w[h] = inner.solve(robustness.divergence, robustness.mode, strength[h])  # (3)
        betas[h] = rule(h, w[h], v, one)
    log = ("ill-conditioned Gram matrix; raise the ridge",) if least < ILL_CONDITIONED else ()
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    for array in (w, sigma, betas, inverse):
        array.flags.writeable = False
    stats = Stats(H, wall, cpu, log=log)
    return FeaturePolicy(w, sigma, betas, inverse, choices, stats, *reader.seconds)


def _is_direct(robustness: Robustness, choices: Compat) -> bool:
    """Whether a value's target is known as soon as the value is: TV and shrunk KL penalties."""
    if robustness.mode != "penalty" or choices.dual_range == "horizon":
        return False
    if robustness.divergence == "tv":
        return choices.vmin == "fail_state"
    return robustness.divergence == "kl" and choices.kl_target == "shrink_to_one"


class _Targets:
    """What a step regresses when no sweep is needed: one column per distinct penalty."""

    def __init__(self, divergence: str, strength: Floats):
        self.divergence, self.strength = divergence, strength
        self.free = np.isinf(strength)
        self.filled = np.where(self.free, 1.0, strength)
        self.level, self.which = levels(self.filled)

    def columns(self, v: Floats) -> Floats:
        """Return the targets of values (m,), the values themselves last: (m, u+1)."""
        return np.column_stack([targets(self.divergence, v, self.level), v])

    def weights(self, x: Floats, top: float) -> Floats:
        """Return w from the regressed columns, (d, u+1)."""
        one = x[np.arange(self.which.size), self.which]
        return np.where(self.free, x[:, -1], finished(self.divergence, one, self.filled, top))


class _Reader:
    """Reads a step at a time, into one reused buffer if a sweep needs it; times the source."""

    def __init__(self, source: Source):
        self.source, self.seconds = source, [0.0, 0.0]
        self._buffer = np.empty((0, source.dimension))

    def read(
        self, h: int, found: FeaturePolicy, ridge: float, target: _Targets | None
    ) -> tuple[Fit, Floats, Floats]:
        """Return the regression of step h, and next values or the right-hand sides of targets."""
        n, d = self.source.count(h), self.source.dimension
        if n < 1:
            raise InvalidModelError(f"step {h} has no samples; collect at least one trajectory")
        last, first = h == self.source.horizon - 1, 0
        keep = target is None and not last
        if keep and self._buffer.shape[0] < n:
            self._buffer = np.empty((n, d))
        phi, v, gram = (
            self._buffer[: n if keep else 0],
            np.zeros(n if keep else 0),
            np.zeros((d, d)),
        )
        right = np.zeros((d, 1 if target is None else target.level.size + 1))
        blocks = iter(self.source.blocks(h))
        while True:
            begun = time.perf_counter(), time.process_time()
            block = next(blocks, None)
            self.seconds[0] += time.perf_counter() - begun[0]
            self.seconds[1] += time.process_time() - begun[1]
            if block is None:
                break
            rows = slice(first, first + block.phi.shape[0])
            if rows.stop > n or block.phi.shape[1:] != (d,):
                raise InvalidModelError(
                    f"step {h}: a block of shape {block.phi.shape} after {first} samples; {n} "
                    f"samples of dimension {d} expected in all"
                )
            gram += block.phi.T @ block.phi  # (1)
            if not last:
                values = _next_values(block, h, found)  # (2)
                if target is not None:
                    right += block.phi.T @ target.columns(values)
                else:
                    phi[rows], v[rows] = block.phi, values
            first = rows.stop
        if first != n:
            raise InvalidModelError(f"step {h}: {first} samples came and {n} were announced")
        validate.require(
            np.isfinite(np.diagonal(gram)),
            lambda i: f"step {h}: a feature of coordinate {i} is not finite",
            "Features are finite.",
            unit="coordinates",
        )
        return fit(Step(gram, np.arange(v.size), phi, n), ridge), v, right


def _next_values(block: Block, h: int, found: FeaturePolicy) -> Floats:
    """Return the value of each sample's next state: 0 where the episode is over."""
    values = found.values(h + 1, block.follow, block.reward)
    if block.which is None:
        return values
    return np.append(values, 0.0)[block.which]
