r"""Identification of a linear system from inputs and outputs.

Problem       From u_t (d) and y_t (p) of ``x_{t+1} = A x_t + B u_t + eps_t``,
              ``y_t = C x_t + D u_t + eta_t`` find (A, B, C, D), up to a change of coordinates.
Algorithm     Open loop: regress y_t on u_t, u_{t-1}, ..., u_{t-H+1}; the coefficients are the
              Markov parameters

                  G_0 = D,    G_k = C A^{k-1} B.                                               (1)

              Closed loop: regress y_t on y_{t-k} and u_{t-k}, k <= H, and on u_t. The coefficients
              Phi_k and Psi_k are those of a predictor, and unroll to

                  G_0 = Psi_0,    G_k = Psi_k + sum_{j=1}^{k} Phi_j G_{k-j}.                   (2)

              Ho and Kalman: the block Hankel matrix of the G_k, its last block column deleted, has
              the singular value decomposition P S Q; with its first column deleted instead it is
              H_+. The n largest singular values give O = P S^{1/2}, K = S^{1/2} Q and

                  C = first rows of O,   B = first columns of K,   A = O^+ H_+ K^+.            (3)
Guarantee     Without noise, with inputs that excite every lag, the Markov parameters and whatever
              follows from them, such as h, are exact up to rounding; in the open loop up to the
              effect of older inputs too, which decays like rho(A)^H.
Cost          O(T (H d)^2) for the regression, O((H p)(H d)^2 / 8) for the decomposition.
Deviations    `realise_predictor` puts the predictor's own Markov parameters through (3), which is
              how the closed loop is done for the advertising data of the paper. There [F, B - F D]
              takes the place of [F, B]: the predictor is fed D u_t too.
References    Ho and Kalman (1966); Oymak and Ozay (2019) for the open loop; Juang, Phan, Horta and
              Longman (1993) for (2); Mussi, Metelli and Restelli (2023), appendix D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.action_sets import ActionSet, Ball
from mdplib.dynamical_bandit import DynamicalLinearBandit
from mdplib.errors import InvalidModelError
from mdplib.spectral import finite

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class StateSpace:
    """A linear system, known up to a change of coordinates of its state.

    Parameters
    ----------
    A, B, C, D : (n, n), (n, d), (p, n), (p, d) float64
        The system.
    singular_values : (m,) float64
        Of the Hankel matrix that it was cut out of, largest first.
    residual : (p,) float64
        Root mean square of what the regression left over.
    """

    A: Floats
    B: Floats
    C: Floats
    D: Floats
    singular_values: Floats
    residual: Floats

    def __post_init__(self):
        for name in ("A", "B", "C", "D"):
            matrix = validate.frozen(getattr(self, name), np.float64, name, ndim=(2,))
            finite(matrix, name)
            object.__setattr__(self, name, matrix)
        for name in ("singular_values", "residual"):
            object.__setattr__(self, name, validate.frozen(getattr(self, name), np.float64, name))

    def markov_parameters(self, count: int) -> Floats:
        """Return D, C B, C A B, ..., (count, p, d)."""
        blocks, state = [self.D], self.B
        for _ in range(count - 1):
            blocks.append(self.C @ state)
            state = self.A @ state
        return np.array(blocks[:count])

    def bandit(
        self,
        actions: ActionSet,
        *,
        state_noise: float = 0.0,
        output_noise: float = 0.0,
        weights: ArrayLike | None = None,
    ) -> DynamicalLinearBandit:
        """Return the bandit whose reward is a weighted sum of the outputs.

        Parameters
        ----------
        actions : FiniteArms, Polytope or Ball
            The actions, of d components.
        state_noise, output_noise : float
            Standard deviations, in these coordinates.
        weights : (p,) array_like, optional
            Weights of the outputs, by default ones.

        Returns
        -------
        DynamicalLinearBandit
            With omega = C^T weights and theta = D^T weights.

        Raises
        ------
        InvalidModelError
            If the fitted A is not stable, or shapes disagree.
        """
        w = np.ones(self.C.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
        validate.vector(w, self.C.shape[0], "weights")
        return DynamicalLinearBandit(
            self.A, self.B, self.C.T @ w, self.D.T @ w, actions, state_noise, output_noise
        )

    def __repr__(self) -> str:
        (n, d), p = self.B.shape, self.C.shape[0]
        return f"StateSpace({d} inputs, {n} states, {p} outputs)"


def random_inputs(actions: ActionSet, rounds: int, rng: np.random.Generator) -> Floats:
    """Return independent uniform choices among the arms, or of directions of a ball.

    Parameters
    ----------
    actions : FiniteArms, Polytope or Ball
        The actions.
    rounds : int
        How many.
    rng : numpy.random.Generator
        Randomness.

    Returns
    -------
    (rounds, d) float64
        The inputs. Arms that all spend one budget excite one direction too little; take the
        vertices of the whole polytope then.
    """
    if isinstance(actions, Ball):
        direction = rng.normal(size=(rounds, actions.d))
        return actions.radius * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return actions.arms[rng.integers(0, actions.arms.shape[0], rounds)]


def fit_open_loop(
    u: ArrayLike,
    y: ArrayLike,
    length: int,
    *,
    order: int,
    ridge: float = 0.0,
    at_rest: bool = False,
) -> StateSpace:
    """Fit a system to outputs under inputs that did not depend on them.

    Parameters
    ----------
    u : (T, d) or (runs, T, d) array_like
        Inputs.
    y : (T,), (T, p) or (runs, T, p) array_like
        Outputs; for several runs of one output (runs, T, 1).
    length : int
        Number H of Markov parameters; at least 2 n + 1 for order n is wise, and as many as it takes
        for rho(A)^H to be small.
    order : int
        Number n of states.
    ridge : float
        Weight of the squared coefficients, at least 0.
    at_rest : bool
        Whether the runs begin in state 0. The first H - 1 rounds can be used then, and are not
        otherwise.

    Returns
    -------
    StateSpace
        The system.

    Raises
    ------
    InvalidModelError
        On wrong shapes, too few rounds, or inputs that do not excite every lag.

    Examples
    --------
    >>> from mdplib import models
    >>> from mdplib.bandit_simulation import simulate
    >>> bandit = models.dlb_advertising(0.0)
    >>> u = np.random.default_rng(0).integers(0, 2, (1000, 3)).astype(float)  # a binary sequence
    >>> system = fit_open_loop(u, simulate(bandit, u, 0), 70, order=3, at_rest=True)
    >>> refit = system.bandit(bandit.actions)
    >>> bool(np.abs(refit.markov_parameter - bandit.markov_parameter).max() < 1e-8)
    True
    """
    inputs, outputs = _data(u, y)
    _check_length(length)
    X = np.concatenate([_lags(run, length, 0, at_rest) for run in inputs])
    Y = np.concatenate([run[len(run) - len(X) // len(outputs) :] for run in outputs])
    coefficients, residual = _regress(X, Y, ridge, X.shape[1])
    G = coefficients.reshape(length, inputs.shape[2], -1).transpose(0, 2, 1)  # (1)
    return ho_kalman(G, order=order, residual=residual)


def fit_closed_loop(
    u: ArrayLike,
    y: ArrayLike,
    length: int,
    *,
    order: int,
    ridge: float = 0.0,
    realise_predictor: bool = False,
) -> StateSpace:
    """Fit a system to outputs under inputs that may have depended on earlier outputs.

    Parameters
    ----------
    u : (T, d) or (runs, T, d) array_like
        Inputs.
    y : (T,), (T, p) or (runs, T, p) array_like
        Outputs; for several runs of one output (runs, T, 1).
    length : int
        Number H of lags of the predictor, at least n.
    order : int
        Number n of states.
    ridge : float
        Weight of the squared coefficients, at least 0.
    realise_predictor : bool
        Whether (3) is applied to the predictor, whose feedback is then undone, rather than to the
        Markov parameters that it implies. Without noise only the latter is exact.

    Returns
    -------
    StateSpace
        The system.

    Raises
    ------
    InvalidModelError
        On wrong shapes, too few rounds, or inputs that do not excite every lag.

    Examples
    --------
    >>> from mdplib import models
    >>> from mdplib.bandit_simulation import simulate
    >>> bandit = models.dlb_synthetic(0.0)
    >>> u = np.random.default_rng(0).integers(0, 2, (300, 3)).astype(float)
    >>> system = fit_closed_loop(u, simulate(bandit, u, 0), 6, order=2)
    >>> found, true = system.markov_parameters(9)[:, 0], bandit.markov_parameters(9)
    >>> bool(np.abs(found - true).max() < 1e-8)
    True
    """
    inputs, outputs = _data(u, y)
    _check_length(length)
    d, p = inputs.shape[2], outputs.shape[2]
    U = np.concatenate([_lags(run, length + 1, 0, False) for run in inputs])
    X = np.concatenate([_lags(run, length, 1, False) for run in outputs])
    Y = np.concatenate([run[length:] for run in outputs])
    cut = (length + 1) * d
    both, residual = _regress(np.concatenate([U, X], axis=1), Y, ridge, cut)
    psi = both[:cut].reshape(length + 1, d, p).transpose(0, 2, 1)
    phi = both[cut:].reshape(length, p, p).transpose(0, 2, 1)
    if realise_predictor:
        return _undo_feedback(phi, psi, order, residual)
    G = np.zeros((2 * length + 1, p, d))
    for k in range(len(G)):
        G[k] = psi[k] if k <= length else 0.0
        for j in range(1, min(k, length) + 1):
            G[k] += phi[j - 1] @ G[k - j]  # (2)
    return ho_kalman(G, order=order, residual=residual)


def ho_kalman(G: ArrayLike, *, order: int, residual: ArrayLike = ()) -> StateSpace:
    """Return the system of given order whose Markov parameters are nearly G.

    Parameters
    ----------
    G : (H, p, d) array_like
        D, C B, C A B, ...; H at least 3.
    order : int
        Number n of states, at least 1 and at most (H // 2) p and (H - 1 - H // 2) d.
    residual : (p,) array_like
        Passed on.

    Returns
    -------
    StateSpace
        Balanced: O^T O = K K^T = the n largest singular values.

    Raises
    ------
    InvalidModelError
        If `G` has another shape, is not finite, or is too short for the order.

    Examples
    --------
    >>> G = [[[0.0]], [[1.0]], [[0.5]], [[0.25]], [[0.125]]]
    >>> ho_kalman(G, order=1).A
    array([[0.5]])
    """
    G = validate.frozen(G, np.float64, "G", ndim=(3,))
    finite(G, "G")
    H, p, d = G.shape
    tall, wide = H // 2, H - 1 - H // 2
    if order < 1 or order > min(tall * p, wide * d):
        raise InvalidModelError(
            f"order is {order!r}; at least 1 and at most {min(tall * p, wide * d)} expected with "
            f"{H} Markov parameters of shape ({p}, {d}). More of them allow a higher order"
        )
    rows = [np.concatenate(list(G[i + 1 : i + 2 + wide]), axis=1) for i in range(tall)]
    hankel = np.concatenate(rows)
    P, S, Q = np.linalg.svd(hankel[:, : wide * d], full_matrices=False)
    root = np.sqrt(S[:order])
    if root[-1] <= 1e-7 * max(root[0], 1e-150):
        rank = int(np.count_nonzero(np.sqrt(S) > 1e-7 * max(root[0], 1e-150)))
        raise InvalidModelError(
            f"order is {order}, but the Hankel matrix has rank {rank}: singular value {order} is "
            f"{S[order - 1]:.3g} of {S[0]:.3g}. Ask for at most {rank} states"
        )
    O, K = P[:, :order] * root, root[:, None] * Q[:order]
    A = (P[:, :order] / root).T @ hankel[:, d:] @ (Q[:order].T / root)  # (3)
    return StateSpace(A, K[:, :d], O[:p], G[0], S, np.asarray(residual, dtype=np.float64))


def _undo_feedback(phi: Floats, psi: Floats, order: int, residual: Floats) -> StateSpace:
    """Realise the predictor ``x' = (A - F C) x + (B - F D) u + F y`` and remove its feedback."""
    p = phi.shape[1]
    joint = np.concatenate([phi, psi[1:]], axis=2)
    first = np.concatenate([np.zeros((p, p)), psi[0]], axis=1)
    predictor = ho_kalman(np.concatenate([first[None], joint]), order=order, residual=residual)
    F, D = predictor.B[:, :p], psi[0]
    A, B = predictor.A + F @ predictor.C, predictor.B[:, p:] + F @ D
    return StateSpace(A, B, predictor.C, D, predictor.singular_values, residual)


def _data(u: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return inputs (runs, T, d) and outputs (runs, T, p)."""
    inputs, outputs = np.asarray(u, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if inputs.ndim == 2:
        inputs = inputs[None]
        outputs = outputs[None, :, None] if outputs.ndim == 1 else outputs[None]
    if inputs.ndim != 3 or outputs.ndim != 3 or inputs.shape[:2] != outputs.shape[:2]:
        raise InvalidModelError(
            f"u has shape {np.shape(u)} and y {np.shape(y)}; (T, d) with (T,) or (T, p), or "
            "(runs, T, d) with (runs, T, p) expected"
        )
    finite(inputs, "u")
    finite(outputs, "y")
    return inputs, outputs


def _check_length(length: int) -> None:
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1:
        raise InvalidModelError(f"length is {length!r}; an integer of at least 1 expected")


def _lags(run: Floats, length: int, first: int, at_rest: bool) -> Floats:
    """Return the rows (z_{t-first}, ..., z_{t-first-length+1}), padded with zeros or begun late."""
    T, width = run.shape
    reach = length + first - 1
    padded = np.concatenate([np.zeros((reach, width)), run]) if at_rest else run
    rows = len(padded) - reach
    if rows < 1:
        raise InvalidModelError(f"T is {T}, too few rounds for {reach} lags")
    columns = [padded[reach - first - k : reach - first - k + rows] for k in range(length)]
    return np.concatenate(columns, axis=1)


def _check_excitation(R: Floats, rounds: int) -> None:
    """Raise if some combination of the lagged inputs, the columns of Q R, never shows."""
    values = np.linalg.svd(R, compute_uv=False)
    rank = int(np.count_nonzero(values > 1e-10 * values[0])) if values[0] > 0 else 0
    if rank < R.shape[1]:
        raise InvalidModelError(
            f"the inputs do not excite every lag: {R.shape[1]} columns of lagged inputs have rank "
            f"{rank} in {rounds} rounds. Use more rounds, fewer lags, or inputs that vary "
            "independently in all components (a fixed budget leaves one direction out)"
        )


def _regress(X: Floats, Y: Floats, ridge: float, inputs: int) -> tuple[Floats, Floats]:
    """Return the coefficients of Y on X, of least norm where many fit, and the residual.

    The first `inputs` columns of X are lagged inputs.
    """
    if not 0 <= ridge < math.inf:
        raise InvalidModelError(f"ridge is {ridge!r}; a finite number of at least 0 expected")
    width = X.shape[1]
    # as good as the data, and short
    R = np.asarray(np.linalg.qr(np.concatenate([X, Y], axis=1), mode="r"), dtype=np.float64)
    if ridge == 0:
        _check_excitation(R[:, :inputs], len(X))
    rows, right = R[:, :width], R[:, width:]
    extra = math.sqrt(ridge) * np.eye(width)[: width if ridge > 0 else 0]
    coefficients = np.linalg.lstsq(
        np.concatenate([rows, extra]),
        np.concatenate([right, np.zeros((len(extra), Y.shape[1]))]),
        rcond=1e-10,
    )[0]
    left = np.sqrt(((right - rows @ coefficients) ** 2).sum(axis=0) / len(X))
    return np.asarray(coefficients, dtype=np.float64), left
