"""What robust planners return: a `Solution` that also knows the worst kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import MdplibError
from mdplib.robust import Robustness
from mdplib.robust_rows import Rows, solve_rows, tilt_rows
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP

Floats = NDArray[np.float64]


class Worst(NamedTuple):
    """The worst laws of all steps and their distances from the nominal ones."""

    kernel: Floats | TabularMDP
    divergence: Floats
    penalty: Floats


@dataclass(frozen=True, eq=False, repr=False)
class RobustSolution(Solution):
    """A certified robust value, its policy, and the kernel that is worst for it.

    Parameters
    ----------
    mdp : LinearMDP or TabularMDP
        The nominal model.
    robustness : Robustness
        What was asked for.

    Notes
    -----
    The other fields are those of `Solution`, with the robust value in place of the value. The
    worst kernel is computed on first use, from `value`.
    """

    mdp: LinearMDP | TabularMDP | None = None
    robustness: Robustness | None = None

    @cached_property
    def _worst(self) -> Worst:
        if self.mdp is None or self.robustness is None:
            raise MdplibError("a solution read from a file does not know its model; solve again")
        if isinstance(self.mdp, TabularMDP):
            return _worst_tabular(self.mdp, self.robustness, self.value)
        return _worst_linear(self.mdp, self.robustness, self.value)

    @property
    def worst(self) -> Floats | TabularMDP:
        """The worst kernel: (H, d, S) factor laws, or a `TabularMDP` with the nominal rewards.

        With a finite horizon the tabular kernels change from step to step.
        """
        return self._worst.kernel

    @property
    def divergence(self) -> Floats:
        """D(worst || nominal) of each factor, (H, d), or of each pair.

        Of pairs: (H, K), or (K,) with an infinite horizon or kernels that change by step.
        """
        return self._worst.divergence

    @property
    def penalty(self) -> Floats:
        """What the worst kernel costs the adversary, shaped like `divergence`; 0 for balls.

        Strength times divergence, times gamma: it is paid with the next value.
        """
        return self._worst.penalty

    @property
    def worst_model(self) -> LinearMDP | TabularMDP:
        """The model with its kernel replaced by the worst one; rewards are the nominal ones."""
        kernel, mdp = self._worst.kernel, self.mdp
        if isinstance(kernel, TabularMDP):
            return kernel
        return cast("LinearMDP", mdp).with_mu(kernel)

    @property
    def priced_model(self) -> LinearMDP | TabularMDP:
        """The worst model with the adversary's costs added to the rewards.

        The value of `policy` in it, without an adversary, is the robust value; where `policy` is
        a robust optimum, no other policy is worth more in it.
        """
        worst, penalty = self.worst_model, self.penalty
        if isinstance(worst, TabularMDP):
            return worst.replace(reward=worst.reward + penalty.reshape(-1))
        reward = worst.reward + penalty @ worst.features.phi.T
        return worst.replace(reward=reward, theta=None)


def tabular_rows(mdp: TabularMDP, h: int) -> tuple[Rows, slice]:
    """Return the rows of step h, with pointers into the whole arrays, and the pairs they are."""
    ptr = mdp.layer(h).state_ptr
    pairs = slice(int(ptr[0]), int(ptr[-1]))
    return Rows(mdp.indptr[pairs.start : pairs.stop + 1], mdp.indices, mdp.data), pairs


def tabular_strengths(mdp: TabularMDP, robustness: Robustness) -> list[Floats]:
    """Return the strengths of the pairs of each step.

    Where steps have different numbers of pairs, strengths may differ by step only.
    """
    steps = range(mdp.horizon or 1)
    sizes = [tabular_rows(mdp, h)[0].size for h in steps]
    d = sizes[0] if len(set(sizes)) == 1 else 1
    table = robustness.table(len(sizes), d)
    return [np.array(np.broadcast_to(table[h], sizes[h])) for h in steps]


def cost(robustness: Robustness, strength: Floats, far: Floats) -> Floats:
    """Return strength times divergence, 0 where the strength is infinite, and for balls."""
    if robustness.mode == "ball":
        return np.zeros_like(far)
    return np.where(np.isinf(strength), 0.0, strength) * far


def _worst_linear(mdp: LinearMDP, robustness: Robustness, value: Floats) -> Worst:
    H, d, S = mdp.mu.shape
    table = robustness.table(H, d)
    mu, far, paid = np.empty((H, d, S)), np.empty((H, d)), np.empty((H, d))
    for h in range(H):
        rows, V = Rows.dense(np.ascontiguousarray(mdp.mu[h])), value[h + 1]
        strength = np.ascontiguousarray(table[h])
        found = solve_rows(robustness.divergence, robustness.mode, strength, rows, V)
        q, far[h], moved = tilt_rows(robustness.divergence, rows, V, found)
        mu[h] = q.reshape(d, S)
        mu[h][:, int(np.argmin(V))] += moved
        paid[h] = cost(robustness, strength, far[h])
    return Worst(_read_only(mu), _read_only(far), _read_only(paid))


def _worst_tabular(mdp: TabularMDP, robustness: Robustness, value: Floats) -> Worst:
    far, paid, layers = [], [], []
    for h, strength in enumerate(tabular_strengths(mdp, robustness)):
        V = value if mdp.horizon is None else value[h + 1]
        rows, _ = tabular_rows(mdp, h)
        found = solve_rows(robustness.divergence, robustness.mode, strength, rows, V)
        q, distance, moved = tilt_rows(robustness.divergence, rows, V, found)
        layers.append(_layer(mdp, h, rows, q, moved, int(np.argmin(V))))
        far.append(distance)
        paid.append(mdp.gamma * cost(robustness, strength, distance))
    if mdp.horizon is None:
        return Worst(layers[0], _read_only(far[0]), _read_only(paid[0]))
    join = np.stack if mdp.stationary else np.concatenate
    kernel = TabularMDP.from_layers(
        layers, terminal=mdp.terminal, initial=mdp.initial,
        state_labels=mdp.state_labels, action_labels=mdp.action_labels,
    )  # fmt: skip
    return Worst(kernel, _read_only(join(far)), _read_only(join(paid)))


def _layer(
    mdp: TabularMDP, h: int, rows: Rows, q: Floats, moved: Floats, refuge: int
) -> TabularMDP:
    """Return step h as a model of its own, with laws q and the mass `moved` put on the refuge."""
    import scipy.sparse as sp

    layer, S = mdp.layer(h), mdp.n_states
    first, last = int(rows.indptr[0]), int(rows.indptr[-1])
    pairs = slice(int(layer.state_ptr[0]), int(layer.state_ptr[-1]))
    n = pairs.stop - pairs.start
    laws: Any = sp.csr_array((q, rows.indices[first:last], rows.indptr - first), (n, S))
    if moved.any():
        place = np.full(n, refuge)
        laws = sp.csr_array(laws + sp.csr_array((moved, place, np.arange(n + 1)), (n, S)))
        laws.sort_indices()
    ptr, finite = layer.state_ptr - pairs.start, mdp.horizon is not None
    return TabularMDP(
        ptr.astype(np.int32), laws.indptr.astype(np.int32), laws.indices.astype(np.int32),
        laws.data, layer.reward[pairs], mdp.action_id[pairs], mdp.gamma,
        horizon=1 if finite else None,
        initial=None if finite else mdp.initial,
        state_labels=None if finite else mdp.state_labels,
        action_labels=None if finite else mdp.action_labels,
    )  # fmt: skip


def _read_only(array: Floats) -> Floats:
    array.flags.writeable = False
    return array
