"""Contracts that every model and every solver keeps, to be called from your own tests.

A broken contract raises `AssertionError` with the model and the place.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import tempfile
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mdplib import certificates
from mdplib.assembly import ModelFields
from mdplib.errors import InvalidModelError
from mdplib.solution import Solution, Status
from mdplib.tabular import TabularMDP

_DENSE_LIMIT = 0.05  # GiB


class Solver(Protocol):
    """What `check_solver` calls: a problem and a tolerance in, a `Solution` out."""

    def __call__(self, mdp: TabularMDP, /, *, tol: float) -> Solution:
        """Solve the problem."""
        ...


ExactValue = Callable[[TabularMDP], Sequence[Any] | NDArray[Any]]


def check_model(mdp: TabularMDP) -> None:
    """Check a model's arrays, fingerprint, and the way there and back through every layout.

    Parameters
    ----------
    mdp : TabularMDP
        The model, perhaps one that your own code built.

    Raises
    ------
    AssertionError
        Naming what does not hold.

    Examples
    --------
    >>> check_model(TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9))
    """
    _check_frozen(mdp)
    _check_row_sums(mdp)
    _check_layers(mdp)
    changed = mdp.replace(reward=np.where(mdp.reward == 0, 1.0, mdp.reward / 2))
    _check(changed != mdp, mdp, "models with different rewards have equal fingerprints")
    for name, twin in (
        ("pickle", pickle.loads(pickle.dumps(mdp))),
        ("copy.deepcopy", copy.deepcopy(mdp)),
        ("replace", mdp.replace()),
        ("npz", _through_npz(mdp)),
    ):
        _check(twin.fingerprint == mdp.fingerprint, mdp, f"{name} changes the fingerprint")
        _check_frozen(twin)
    plain = without_zeros(mdp)
    for name, convert in _CONVERSIONS.items():
        twin = convert(mdp)
        _check(twin is None or twin == plain, mdp, f"{name} and back gives another model")


def check_solver(
    solver: Solver,
    mdps: Iterable[TabularMDP],
    *,
    tol: float = 1e-6,
    exact_value: ExactValue | None = None,
) -> None:
    """Check that a solver's certificates are true.

    For each model: bounds are finite and ordered, and the value lies between them; the reference
    value lies in the bounds; the policy is admissible, and its own value is not provably outside;
    the status is OPTIMAL exactly if the gap is at most `tol`; the model is untouched; a second
    call returns the same numbers.

    Parameters
    ----------
    solver : callable
        ``solver(mdp, tol=tol)`` returns a `Solution`.
    mdps : iterable of TabularMDP
        Problems, for instance draws of `random_mdp`.
    tol : float
        Tolerance to ask for, in units of reward.
    exact_value : callable, optional
        Maps a model to its optimal value, (S,) or (H+1, S) numbers (fractions are compared
        exactly). By default the bounds proven by `mdplib.certificates` from the solver's own
        value must meet the solver's bounds.

    Raises
    ------
    AssertionError
        Naming the first contract that is broken, the model and the place.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib.testing import random_mdp
    >>> from solvers import policy_iteration
    >>> rng = np.random.default_rng(0)
    >>> check_solver(policy_iteration, [random_mdp(rng) for _ in range(3)])
    """
    for mdp in mdps:
        before = _content(mdp)
        solution = solver(mdp, tol=tol)
        _check(_content(mdp) == before, mdp, "the solver wrote to the model")
        _check_bounds(mdp, solution)
        _check_reference(mdp, solution, exact_value)
        _check_policy(mdp, solution)
        optimal = solution.status is Status.OPTIMAL
        _check(
            optimal == (solution.gap <= tol),
            mdp,
            f"the status is {solution.status.name} but the gap is {solution.gap} and tol {tol}",
        )
        again = solver(mdp, tol=tol)
        for name in ("value", "lower", "upper"):
            same = np.array_equal(getattr(solution, name), getattr(again, name))
            _check(same and again.status is solution.status, mdp, f"two calls differ in {name}")


# --------------------------------------------------------------------------- solutions


def _check_bounds(mdp: TabularMDP, solution: Solution) -> None:
    shape = (mdp.n_states,) if mdp.horizon is None else (mdp.horizon + 1, mdp.n_states)
    for name in ("value", "lower", "upper"):
        array = getattr(solution, name)
        _check(array.shape == shape, mdp, f"{name} has shape {array.shape}, not {shape}")
        _check(bool(np.isfinite(array).all()), mdp, f"{name} is not finite")
    out = (solution.value < solution.lower) | (solution.value > solution.upper)
    _check(not out.any(), mdp, f"value outside the bounds at {np.argwhere(out)[:1].tolist()}")


def _check_reference(mdp: TabularMDP, solution: Solution, exact_value: ExactValue | None) -> None:
    if exact_value is None:
        found = certificates.bracket(mdp, solution.value)
        _check_meets(mdp, solution, found, "the optimal value")
        return
    reference = np.asarray(exact_value(mdp), dtype=object)
    _check(reference.shape == solution.value.shape, mdp, "the reference has another shape")
    for place, x in np.ndenumerate(reference):
        low, high = float(solution.lower[place]), float(solution.upper[place])
        _check(
            Fraction(low) <= Fraction(x) <= Fraction(high),
            mdp,
            f"the optimal value {float(x)!r} at {place} is outside [{low!r}, {high!r}]",
        )


def _check_policy(mdp: TabularMDP, solution: Solution) -> None:
    for h in range(mdp.horizon or 1):
        for s in range(mdp.n_states):
            actions, weights = solution.policy.probs(s, h)
            known = bool(np.isin(actions, mdp.actions(s, h)).all())
            _check(known, mdp, f"the policy takes {actions} in state {s} at step {h}")
            total = math.fsum(weights.tolist())
            _check(
                bool(np.all(weights >= 0)) and abs(total - 1) <= 1e-9,
                mdp,
                f"the policy's probabilities in state {s} at step {h} sum to {total!r}",
            )
    found = certificates.bracket_policy(mdp, solution.policy)
    _check_meets(mdp, solution, found, "the policy's own value")


def _check_meets(
    mdp: TabularMDP, solution: Solution, found: certificates.Bracket, what: str
) -> None:
    apart = (found.lower > solution.upper) | (found.upper < solution.lower)
    if apart.any():
        place = tuple(np.argwhere(apart)[0].tolist())
        _check(
            False,
            mdp,
            f"{what} at {place} is in [{found.lower[place]!r}, {found.upper[place]!r}], the "
            f"solver says [{solution.lower[place]!r}, {solution.upper[place]!r}]",
        )


# ------------------------------------------------------------------------------ models


def without_zeros(mdp: TabularMDP) -> TabularMDP:
    """Return the same model without stored zeros, as the constructors leave it.

    Examples
    --------
    >>> mdp = TabularMDP([0, 1, 2], [0, 2, 3], [0, 1, 1], [0.0, 1.0, 1.0], [0, 0], [0, 0], 0.5)
    >>> without_zeros(mdp).nnz
    2
    """
    keep = mdp.data != 0
    kept = np.concatenate([[0], np.cumsum(keep)])
    return mdp.replace(indptr=kept[mdp.indptr], indices=mdp.indices[keep], data=mdp.data[keep])


def _check_frozen(mdp: TabularMDP) -> None:
    for field in dataclasses.fields(mdp):
        array = getattr(mdp, field.name)
        while isinstance(array, np.ndarray):
            _check(not array.flags.writeable, mdp, f"{field.name} can be written to")
            array = array.base


def _check_row_sums(mdp: TabularMDP) -> None:
    low, high = mdp.row_sum_bounds
    for k in range(mdp.n_pairs):
        row = mdp.data[mdp.indptr[k] : mdp.indptr[k + 1]].tolist()
        # The correctly rounded sum is on the same side of a float as the exact one.
        _check(low <= math.fsum(row) <= high, mdp, f"row {k} sums outside row_sum_bounds")


def _check_layers(mdp: TabularMDP) -> None:
    for h in range(mdp.horizon or 1):
        ptr = mdp.layer(h).state_ptr
        _check(ptr.size == mdp.n_states + 1, mdp, f"layer {h} has {ptr.size - 1} states")
        owner = np.repeat(np.arange(mdp.n_states), np.diff(ptr))
        same = np.array_equal(mdp.pair_state[ptr[0] : ptr[-1]], owner)
        _check(same, mdp, f"pair_state disagrees with layer {h}")


def _through_npz(mdp: TabularMDP) -> TabularMDP:
    from mdplib.io import load_npz, save_npz

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        save_npz(mdp, path)
        return load_npz(path)


def _fields(mdp: TabularMDP) -> ModelFields:
    names = ("horizon", "terminal", "initial", "state_labels", "action_labels")
    return cast("ModelFields", {name: getattr(mdp, name) for name in names})


def _via_dense(mdp: TabularMDP) -> TabularMDP | None:
    try:
        P, r = mdp.to_dense(limit_gib=_DENSE_LIMIT)
    except InvalidModelError:
        return None
    return TabularMDP.from_dense(P, r, mdp.gamma, **_fields(mdp))


def _via_sparse(mdp: TabularMDP) -> TabularMDP | None:
    if not mdp.stationary:
        return None
    return TabularMDP.from_sparse(*mdp.to_sparse(), mdp.gamma, **_fields(mdp))


def _via_dict(mdp: TabularMDP) -> TabularMDP | None:
    if _changes_with_step(mdp):
        return None
    return TabularMDP.from_dict(mdp.to_dict(), mdp.gamma, **_fields(mdp))


def _via_mdptoolbox(mdp: TabularMDP) -> TabularMDP | None:
    if _changes_with_step(mdp) or mdp.n_pairs != mdp.n_states * (int(mdp.action_id.max()) + 1):
        return None
    return TabularMDP.from_mdptoolbox(*mdp.to_mdptoolbox(), mdp.gamma, **_fields(mdp))


def _via_quantecon(mdp: TabularMDP) -> TabularMDP | None:
    if _changes_with_step(mdp):
        return None
    R, Q, beta, state, action = mdp.to_quantecon()
    return TabularMDP.from_quantecon(R, Q, beta, state, action, **_fields(mdp))


def _changes_with_step(mdp: TabularMDP) -> bool:
    return not mdp.stationary or mdp.reward.ndim == 2


_CONVERSIONS: dict[str, Callable[[TabularMDP], TabularMDP | None]] = {
    "to_dense": _via_dense,
    "to_sparse": _via_sparse,
    "to_dict": _via_dict,
    "to_mdptoolbox": _via_mdptoolbox,
    "to_quantecon": _via_quantecon,
}


# ----------------------------------------------------------------------------- reports


def _content(mdp: TabularMDP) -> str:
    """Fingerprint computed afresh: the model's own is cached."""
    return mdp.replace().fingerprint


def _check(holds: bool, mdp: TabularMDP, what: str) -> None:
    if not holds:
        raise AssertionError(f"{what} ({mdp!r}, fingerprint {mdp.fingerprint})")
