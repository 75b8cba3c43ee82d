r"""From approximate values to proven bounds, without a discount.

Problem       Given a reduced problem (`solvers.undiscounted.reduction`), a policy pi and values
              x near the solution of ``x = T x``, find l <= x* <= u, true in exact arithmetic for
              every reading of the model, with the value of pi between them as well.
Algorithm     Let rho_k = r_k + P_k x - x be the residual of pair k and d_k > 0 a margin that
              covers rounding. For a maximum solve

                  w_s = max_k (rho_k + d_k + P_k w)    over all pairs of s,                  (1)
                  v_s = d_pi(s) - rho_pi(s) + P_pi v   over the pairs of pi,                 (2)

              and take u = x + w, l = x - v. Then T u <= u - d and T_pi l >= l + d up to the
              rounding in (1) and (2), whatever the quality of x. For a minimum mirror both:
              l = x - w with rho replaced by -rho in (1), u = x + v.
              What is proven is checked afterwards, pair by pair, for the very numbers returned:

                  maximum:   r_k + P_k u - u + e_k <= 0  for every pair k,                    (3)
                             r_k + P_k l - l - e_k >= 0  for k = pi(s),                       (4)

              with e_k a bound on the error of the left-hand side. For a minimum, (4) must hold
              for every pair and (3) for the pairs of pi. d is twice the error of rho, a trace
              of |x| where x is flat; if a check fails, d grows and takes in the error of w.
Guarantee     Maximum, upper bound: T u <= u, and u is at least the fixed values. Each policy has
              T_pi' u <= u, so ``T_pi'^n u <= u``, and the left side tends to the value of pi'
              since each policy reaches a fixed node with probability one (for terms >= 0 this
              is Park's induction: the value is the least fixed point, and u >= 0 suffices).
              Lower bound: ``l <= T_pi^n l``, which tends to the value of pi for the same
              reason, so l <= value of pi <= x*. Without the collapse of end components the
              limit may fail: l = 1 satisfies l <= T l on a set that is never left.
              Minimum, upper bound: T_pi u <= u gives value of pi <= u. Lower bound: T l >= l
              gives l <= T_pi'^n l for every policy; it tends to the value of pi' if that reaches
              a fixed node with probability one, and otherwise the value of pi' is infinite.
              That pi reaches a fixed node with probability one is checked on its graph.
              Errors: rows of every reading sum to one, so r + P x - x = r + sum p (x_t - x_s),
              a sum of n terms with computed differences of x = hi + lo; a reading moves each p
              by a relative (2n + 4) u at most (its rounding, and the division of a row by its
              sum). Together e = (3n + 12) u (|r| + sum p |x_t - x_s|), plus underflow.
Cost          Two solves of linear size; two sweeps for the checks.
Deviations    Hartmanns and Kaminski (2020) guess u as a multiple of l. Here (1) shapes it, so a
              model that mixes slowly needs no more tries, and the width is that of rounding.
References    Park (1969); Bertsekas and Tsitsiklis (1991); Haddad and Monmege (2018); Hartmanns
              and Kaminski (2020); Higham (2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels, graphs
from solvers.undiscounted.equations import UNIT, Clock, Equations, Unsolved
from solvers.undiscounted.reduction import FIXED, Reduced

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

_MARGINS = (2.0, 8.0, 64.0, 1024.0)
_FLAT = 2.0**-40  # margin where x is flat, as a share of that of a change as large as x


@dataclass(frozen=True, eq=False)
class Bounds:
    """Proven bounds on the values of the nodes, and a policy with its value between them."""

    lower: Floats
    upper: Floats
    choice: Ints


def relative_error(reduced: Reduced) -> float:
    """Return e of a residual, relative to the sum of the magnitudes of its terms."""
    return 1.01 * (3 * reduced.mdp.max_successors + 12) * UNIT


def smallest_error(reduced: Reduced, x: Floats) -> float:
    """Return what underflow can add to e."""
    n = reduced.mdp.max_successors + 2
    return n * 2.0**-1070 * (1 + 2 * float(np.max(np.abs(x), initial=0.0)))


def residuals(reduced: Reduced, hi: Floats, lo: Floats) -> tuple[Floats, Floats]:
    """Return the residual of each pair at hi + lo, and its sum of magnitudes."""
    rho, size = np.empty(reduced.pair.size), np.empty(reduced.pair.size)
    _kernels.undiscounted.residuals(*reduced.rows.arrays, reduced.reward, hi, lo, rho, size)
    return rho, size


def superharmonic(reduced: Reduced, hi: Floats, lo: Floats, pairs: Ints | None = None) -> bool:
    """Whether (3) is proven for `pairs` (all by default)."""
    rho, size = residuals(reduced, hi, lo)
    error = relative_error(reduced) * size + smallest_error(reduced, hi)
    excess = rho + error
    return bool((excess <= 0).all() if pairs is None else (excess[pairs] <= 0).all())


def subharmonic(reduced: Reduced, hi: Floats, lo: Floats, pairs: Ints | None = None) -> bool:
    """Whether (4) is proven for `pairs` (all by default)."""
    rho, size = residuals(reduced, hi, lo)
    error = relative_error(reduced) * size + smallest_error(reduced, hi)
    excess = rho - error
    return bool((excess >= 0).all() if pairs is None else (excess[pairs] >= 0).all())


def reaches(reduced: Reduced, choice: Ints) -> bool:
    """Whether a policy reaches a fixed node with probability one from every node."""
    used = np.zeros(reduced.pair.size, dtype=bool)
    used[choice[FIXED:]] = True
    fixed = np.arange(reduced.n_states) < FIXED
    return bool((graphs.towards(reduced, fixed, used)[0] >= 0).all())


def add(hi: Floats, lo: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return hi + lo + w as an unevaluated sum of a float and a small rest."""
    lo = lo + w
    total = hi + lo
    return total, lo - (total - hi)


def certify(
    reduced: Reduced,
    equations: Equations,
    choice: Ints,
    hi: Floats,
    lo: Floats,
    clock: Clock,
) -> Bounds:
    """Prove bounds around hi + lo for the policy `choice`.

    Raises
    ------
    Unsolved
        If no margin is enough, or a limit is reached.
    """
    sign = 1.0 if reduced.maximise else -1.0
    if not reaches(reduced, choice):
        raise Unsolved("the policy found may miss the target")
    mine = choice[FIXED:]
    own = Equations(reduced.rows.chosen(choice), clock)
    rho, size = residuals(reduced, hi, lo)
    base, extra = _margins(reduced, hi, size), np.zeros(size.size)
    alone = np.concatenate((np.full(FIXED, -1), np.arange(mine.size))).astype(np.int32)
    outer = inner = None
    v = np.zeros(reduced.n_states)
    for margin in _MARGINS:
        d = margin * base + extra
        goal = np.zeros(reduced.n_states)
        goal[FIXED:] = 0.1 * d[mine]
        if inner is None:
            gain = d[mine] - sign * rho[mine]
            v, _ = own.solve(gain, 1.0, alone, v, goal, 8 * UNIT)  # (2)
            bound = add(hi, lo, -sign * v)
            check = subharmonic if reduced.maximise else superharmonic
            inner = bound if check(reduced, *bound, mine) else None  # (4)
        if outer is None:
            w, _ = equations.solve(sign * rho + d, 1.0, choice, v, goal, 8 * UNIT)  # (1)
            bound = add(hi, lo, sign * w)
            check = superharmonic if reduced.maximise else subharmonic
            outer = bound if check(reduced, *bound) else None  # (3)
            extra = 4 * _own_error(reduced, np.maximum(v, w))
        if outer is not None and inner is not None:
            low, high = (inner, outer) if reduced.maximise else (outer, inner)
            return widened(reduced, low, high, choice)
    raise Unsolved("rounding is larger than any margin tried")


def _margins(reduced: Reduced, x: Floats, size: Floats) -> Floats:
    """Return the error of each residual near x, and a little more where x is flat."""
    owner = np.repeat(np.arange(reduced.n_states), np.diff(reduced.state_ptr))
    scale = np.abs(x)
    if not reduced.nonnegative:
        scale = np.maximum(scale, scale.max(initial=0.0) * _FLAT)
    flat = size + _FLAT * reduced.rows.away * scale[owner]
    return relative_error(reduced) * flat + smallest_error(reduced, x)


def _own_error(reduced: Reduced, w: Floats) -> Floats:
    """Return what a correction w adds to the error of each residual, and its own rounding."""
    owner = np.repeat(np.arange(reduced.n_states), np.diff(reduced.state_ptr))
    size, out = np.empty(owner.size), np.empty(owner.size)
    nothing = np.zeros(owner.size)
    _kernels.undiscounted.residuals(*reduced.rows.arrays, nothing, w, 0 * w, out, size)
    return relative_error(reduced) * size + 16 * UNIT * reduced.rows.away * w[owner]


def widened(
    reduced: Reduced,
    low: tuple[Floats, Floats],
    high: tuple[Floats, Floats],
    choice: Ints,
) -> Bounds:
    """Return the bounds as floats, rounded outward, within what is known beforehand."""
    lower = np.nextafter(low[0] + low[1], -np.inf)
    upper = np.nextafter(high[0] + high[1], np.inf)
    if reduced.nonnegative:
        lower = np.maximum(lower, 0.0)
    if reduced.mdp.criterion == "reachability":
        upper = np.minimum(upper, 1.0)
    lower[:FIXED] = upper[:FIXED] = reduced.fixed[:FIXED]
    return Bounds(lower, upper, choice)
