"""From a method's options to its run: checks, the choice of beta, and the recursion."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.robust import NoEffectWarning, Robustness
from solvers.robust import beta as rules
from solvers.robust.compat import Compat
from solvers.robust.recursion import BetaAt, Fits, Recursion, caps, check_state
from solvers.robust.regression import check_data, check_ridge
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData

Floats = NDArray[np.float64]
_LARGEST = 1e200  # beyond it, a theory constant is cut: products with it stay finite
_ROUNDS = 2
_THEORY = Compat()


@dataclass(frozen=True, eq=False)
class Options:
    """What the data-driven methods have in common.

    Parameters
    ----------
    beta : float, (H,) array, "theory", "bootstrap" or "calibrated"
        See `solvers.robust.beta`.
    ridge : float
        Positive ridge.
    delta : float
        Probability of failure behind "theory" and "bootstrap".
    compat : Compat
        Choices.
    model : LinearMDP or None
        The truth, for "calibrated" and for warnings.
    fail_state : int or None
        A state known to be absorbing with reward 0.
    cap : (H+1,) array or None
        Upper ends of values.
    rng : Generator or None
        For "bootstrap".
    dual_low : float or None
        Least multiplier of KL balls.
    regressed : bool
        Whether rewards are regressed.
    """

    beta: rules.Beta = 1.0
    ridge: float = 1.0
    delta: float = 0.05
    compat: Compat = _THEORY
    model: LinearMDP | None = None
    fail_state: int | None = None
    cap: ArrayLike | None = None
    rng: np.random.Generator | None = None
    dual_low: float | None = None
    regressed: bool = False


def run(
    solver: str,
    data: LinearData,
    robustness: Robustness | None,
    options: Options,
    fits: Fits | None = None,
) -> PessimisticSolution:
    """Check everything, choose beta, and run the recursion.

    `robustness` is None for PEVI; `fits` replaces the plain regressions of `data`.

    Raises
    ------
    InvalidModelError
        On empty data, a ridge that is not positive, a wrong shape, or a state outside the model.
    NotApplicableError
        If "calibrated" has no model, or "bootstrap" no generator.
    """
    check_data(data)
    check_ridge(options.ridge)
    rules.check_delta(options.delta)
    check_state(data.features, options.fail_state)
    if options.dual_low is not None and not (
        np.isfinite(options.dual_low) and options.dual_low > 0
    ):
        raise InvalidModelError(f"dual_low is {options.dual_low!r}; a positive number expected")
    H, d = data.horizon, data.features.phi.shape[1]
    kind = ("tv", "penalty", np.full((H, d), np.inf))
    if robustness is not None:
        kind = (robustness.divergence, robustness.mode, robustness.table(H, d))
        if options.model is not None:
            _warn_of_no_effect(options.model, robustness)
    recursion = Recursion(
        data,
        fits or Fits(data, options.ridge),
        options.compat,
        caps(data, options.compat, options.cap),
        options.fail_state,
        options.dual_low,
        options.regressed,
    )
    rule = _rule(recursion, kind, robustness, options, solver)
    told = {
        "beta": options.beta
        if isinstance(options.beta, str)
        else np.asarray(options.beta).tolist(),
        "ridge": options.ridge,
        "delta": options.delta,
        "compat": options.compat,
    }
    return recursion.run(*kind, rule, solver, told, robustness)


def _rule(
    recursion: Recursion,
    kind: tuple[str, str, Floats],
    robustness: Robustness | None,
    options: Options,
    solver: str,
) -> BetaAt:
    """Turn the option `beta` into a number per step."""
    data, beta = recursion.data, options.beta
    H, d = kind[2].shape
    if not isinstance(beta, str):
        return rules.fixed(beta, H)
    if beta == "theory":
        method = "pevi" if robustness is None else kind[1]
        n = data.pair.shape[1]
        table, remarks = rules.theory(method, kind[0], kind[2], n, d, options.delta)
        recursion.log += remarks
        if options.ridge != 1:
            recursion.log.append("theory beta is stated for ridge 1")
        if data.reward.max() > 1:
            recursion.log.append("theory beta is stated for rewards in [0, 1]")
        if table.max() > _LARGEST:
            recursion.log.append("theory beta exceeds 1e200 and is cut there")
        return rules.fixed(np.minimum(table, _LARGEST), H)
    if beta == "calibrated":
        if options.model is None:
            raise NotApplicableError("beta='calibrated' needs the true model: model=")
        zero = options.compat.vmin == "fail_state"
        return rules.calibrated(
            options.model, robustness, options.compat.penalty, zero, options.regressed
        )
    if beta == "bootstrap":
        if options.rng is None:
            raise NotApplicableError("beta='bootstrap' draws resamples: give a generator, rng=")
        number = 0.0
        for _ in range(_ROUNDS):  # the second round sees values that are already pessimistic
            found = recursion.run(*kind, rules.fixed(number, H), solver, {})
            number = rules.bootstrap(recursion, kind, found.V, found.w, options.delta, options.rng)
        recursion.log.append(
            f"bootstrap beta: quantile {1 - options.delta:g} of {rules.RESAMPLES} resamples of "
            "trajectories; nominal, without a guarantee"
        )
        return rules.fixed(number, H)
    raise InvalidModelError(
        f"beta is {beta!r}; a number, 'theory', 'bootstrap' or 'calibrated' expected"
    )


def _warn_of_no_effect(model: LinearMDP, robustness: Robustness) -> None:
    """Warn where KL or chi-square robustness is asked about a deterministic factor."""
    if robustness.divergence == "tv":
        return
    table = robustness.table(model.horizon, model.mu.shape[1])
    asked = np.isfinite(table) if robustness.mode == "penalty" else table > 0
    idle = asked & (model.mu.max(axis=2) == 1)
    if idle.any():
        h, i = np.argwhere(idle)[0]
        warnings.warn(
            f"factor {i} of step {h} is deterministic: no other law is absolutely continuous with "
            f"respect to it, so {robustness.divergence} robustness has no effect there "
            f"({np.count_nonzero(idle)} of {idle.size} factors); use total variation",
            NoEffectWarning,
            stacklevel=5,
        )
