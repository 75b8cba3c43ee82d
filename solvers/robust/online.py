r"""R2PVI and DRPVI while data arrive: one trajectory at a time, by rank-one updates.

Problem       Keep the regressions of every step up to date, and plan whenever asked.
Algorithm     A sample (phi, s') of step h changes the upper Cholesky factor of Lambda_h by a
              rank-one update                                                                   (1)
              and adds phi to the row of s' in the sums by next state.                           (2)
Guarantee     `solve` returns what the batch method returns on the same trajectories, up to
              rounding (1e-9).
Cost          O(d**2) per sample for (1), O(d) for (2); memory O(H (d**2 + m d)).
Deviations    None.
References    Gill, Golub, Murray and Saunders (1974) for (1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.errors import InvalidModelError
from mdplib.robust import Robustness
from solvers.robust.compat import Compat, resolve
from solvers.robust.pessimism import Options, run
from solvers.robust.recursion import Fits
from solvers.robust.regression import Fit, Step, check_ridge, from_factor
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import Features

Floats = NDArray[np.float64]
_FIRST = 16  # rows of the sums by next state at the start; doubled when full


class OnlineRegression:
    """Regressions of all steps that take one trajectory at a time.

    Parameters
    ----------
    features : Features
        Features of the pairs.
    reward : (H, K) float64
        Known rewards, at least 0.
    ridge : float
        Positive ridge.

    Raises
    ------
    InvalidModelError
        If the ridge is not positive or the rewards do not fit the features.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> from mdplib.robust import Robustness
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 20, np.random.default_rng(0))
    >>> online = OnlineRegression(mdp.features, mdp.reward)
    >>> for n in range(20):
    ...     online.step(data.pair[:, n], data.next[:, n])
    >>> online.solve(Robustness("tv", 0.5)).V.shape
    (4, 5)
    """

    def __init__(self, features: Features, reward: ArrayLike, ridge: float = 1.0):
        check_ridge(ridge)
        self.features, self.ridge = features, float(ridge)
        self.reward = validate.frozen(reward, np.float64, "reward", (2,))
        H, d = self.reward.shape[0], features.phi.shape[1]
        if self.reward.shape[1] != features.n_pairs:
            raise InvalidModelError(
                f"reward has shape {self.reward.shape}; (H, {features.n_pairs}) expected"
            )
        self._factor = np.tile(np.sqrt(ridge) * np.eye(d), (H, 1, 1))
        self._gram = np.zeros((H, d, d))
        self._mass = [np.zeros((_FIRST, d)) for _ in range(H)]
        self._slot: list[dict[int, int]] = [{} for _ in range(H)]
        self._count = np.zeros(H, dtype=np.int64)
        self._pairs: list[NDArray[np.int32]] = []
        self._next: list[NDArray[np.int32]] = []

    @property
    def n_trajectories(self) -> int:
        """Number of trajectories taken so far."""
        return len(self._pairs)

    def step(self, pair: ArrayLike, follow: ArrayLike) -> None:
        """Take one trajectory.

        Parameters
        ----------
        pair : (H,) int
            Pairs visited; -1 once the episode is over.
        follow : (H,) int
            Next states; -1 when the episode is over.

        Raises
        ------
        InvalidModelError
            On a wrong shape, or a pair or state outside the model.
        """
        H, features = self.reward.shape[0], self.features
        pairs = validate.frozen(pair, np.int32, "pair")
        states = validate.frozen(follow, np.int32, "follow")
        for name, array, end in (
            ("pair", pairs, features.n_pairs),
            ("follow", states, features.n_states),
        ):
            if array.shape != (H,):
                raise InvalidModelError(f"{name} has shape {array.shape}; ({H},) expected")
            validate.require(
                (array >= -1) & (array < end),
                lambda h, name=name, array=array: f"{name}[{h}] is {array[h]}",
                f"Entries are from -1 (over) to {end - 1}.",
            )
        for h in range(H):
            k, s = int(pairs[h]), int(states[h])
            if k < 0 or (features.ends is not None and features.ends[k]):
                continue
            self._sample(h, features.phi[k], s if s >= 0 else features.n_states)
        self._pairs.append(pairs)
        self._next.append(states)

    def _sample(self, h: int, phi: Floats, s: int) -> None:
        """Take one sample of step h."""
        _kernels.regression_duals.update(self._factor[h], phi.copy(), self._gram[h])  # (1)
        slot = self._slot[h].setdefault(s, len(self._slot[h]))
        if slot == self._mass[h].shape[0]:
            self._mass[h] = np.concatenate([self._mass[h], np.zeros_like(self._mass[h])])
        self._mass[h][slot] += phi  # (2)
        self._count[h] += 1

    def fit(self, h: int) -> Fit:
        """Return the regression of step h on the trajectories so far."""
        seen = np.fromiter(self._slot[h], dtype=np.int64, count=len(self._slot[h]))
        sums = Step(self._gram[h].copy(), seen, self._mass[h][: seen.size], int(self._count[h]))
        return from_factor(sums, self.ridge, self._factor[h].copy())

    def solve(
        self,
        robustness: Robustness,
        *,
        beta: float | ArrayLike | Literal["theory"] = 1.0,
        delta: float = 0.05,
        compat: Compat | Literal["public"] | None = None,
        fail_state: int | None = None,
        cap: ArrayLike | None = None,
    ) -> PessimisticSolution:
        """Plan on the trajectories so far: `r2pvi` for penalties, `drpvi` for balls.

        Parameters
        ----------
        robustness : Robustness
            Penalty or ball.
        beta, delta, compat, fail_state, cap
            As in `solvers.r2pvi`.

        Raises
        ------
        InvalidModelError
            If no trajectory has been taken.
        """
        from mdplib.linear_offline import LinearData

        if not self._pairs:
            raise InvalidModelError("no trajectory has been taken; call step first")
        data = LinearData(
            self.features, self.reward, np.stack(self._pairs, axis=1), np.stack(self._next, axis=1)
        )
        options = Options(
            beta=beta,
            ridge=self.ridge,
            delta=delta,
            compat=resolve(compat),
            fail_state=fail_state,
            cap=cap,
        )
        name = "r2pvi" if robustness.mode == "penalty" else "drpvi"
        return run(name, data, robustness, options, _Given(data, self))


class _Given(Fits):
    """Regressions that were kept up to date."""

    def __init__(self, data, online: OnlineRegression):
        super().__init__(data, online.ridge)
        self.online = online

    def __getitem__(self, h: int) -> Fit:
        found = self.online.fit(h)
        self.least_rcond = min(self.least_rcond, found.rcond)
        return found
