"""The protocol of the published code, its slips included, each of which can be switched off.

The authors' experiments add up three noisy outputs, tell every learner the true system, and run
each algorithm in two variants. Curves of theirs can only be compared with curves under the same
protocol; this module repeats it, and says by the name of a field what differs from the paper.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, replace

import numpy as np

from mdplib.bandit_constants import Constants
from mdplib.dynamical_bandit import DynamicalLinearBandit
from solvers.bandits.ar2 import AR2
from solvers.bandits.batch_exp3 import BatchExp3, n_epochs
from solvers.bandits.d_lin_ucb import DLinUCB
from solvers.bandits.dynlin_ucb import DynLinUCB
from solvers.bandits.exp3 import Exp3
from solvers.bandits.interface import Algorithm
from solvers.bandits.lin_ucb import LinUCB

BUDGET = 1.5


@dataclass(frozen=True)
class Faithful:
    """What the published code does; every field may be turned to False.

    Parameters
    ----------
    long_first_epoch : bool
        The first epoch of DynLin-UCB has two rounds, not one.
    random_first_action : bool
        Linear learners draw their first action.
    small_state_bound : bool
        X is U / (1 - rho), which B, Phi and noise may exceed; otherwise a bound that holds with
        probability 1 - 1 / T.
    summed_output_noise : bool
        Three outputs with noise are added: the noise of the reward is sqrt(3) times what is told.
    complex_radius : bool
        Batch-Exp3, Exp3 and AR2 compute with an eigenvalue, not its modulus; where it is complex
        the imaginary part of the result is dropped.
    late_credit : bool
        Batch-Exp3 closes each batch two rounds after the arm has changed.
    blind_discount : bool
        "D-LinUCB (log T)" mentions the discount in its radius alone.
    budget_norm : bool
        LinUCB and D-LinUCB use the budget 1.5 for the norm of an action.

    Examples
    --------
    >>> from mdplib import models
    >>> sorted(Faithful().algorithms(models.dlb_synthetic(), 10**6))[:3]
    ['ar2', 'batch_exp3', 'd_lin_ucb']
    """

    long_first_epoch: bool = True
    random_first_action: bool = True
    small_state_bound: bool = True
    summed_output_noise: bool = True
    complex_radius: bool = True
    late_credit: bool = True
    blind_discount: bool = True
    budget_norm: bool = True

    def bandit(self, bandit: DynamicalLinearBandit) -> DynamicalLinearBandit:
        """Return the system as the published code simulates it."""
        if not self.summed_output_noise:
            return bandit
        return replace(bandit, output_noise=math.sqrt(3) * bandit.output_noise)

    def constants(self, bandit: DynamicalLinearBandit, T: int) -> Constants:
        """Return what its learners are told about `bandit`, given without the change of noise."""
        told = bandit.constants(misspecified=True)
        if self.small_state_bound:
            return told
        return replace(told, X=told.state_bound(T, 1 / max(T, 2), bandit.n_states))

    def algorithms(self, bandit: DynamicalLinearBandit, T: int) -> dict[str, Algorithm]:
        """Return its algorithms, by name."""
        told = self.constants(bandit, T)
        top: complex = bandit.spectral_radius.upper
        if self.complex_radius:
            top = complex(np.linalg.eigvals(bandit.A).max())
        norm = BUDGET if self.budget_norm else None
        scale = (told.Theta + told.Omega * told.B * (1 / (1 - top)).real) * told.U
        batch = 1
        if top != 0:
            waits = cmath.log(n_epochs(T, told.rho)) / cmath.log(1 / top)
            batch = max(1, math.ceil(waits.real - 1e-12))
        first = 2 if self.long_first_epoch else None
        draws = self.random_first_action
        alpha = min(max(top.real, 1e-3), 1 - 1e-12)
        late = "previous" if self.late_credit else "own"
        return {
            "dynlin_log": DynLinUCB(
                "paper", "log_T", paper_edge=True, first_epoch=first, random_first=draws
            ),
            "dynlin_one": DynLinUCB(
                "paper", 1.0, paper_edge=True, first_epoch=first, random_first=draws
            ),
            "lin_ucb": LinUCB("published", 1.0, norm=norm, random_first=draws),
            "lin_ucb_log": LinUCB("noise", "log_T", random_first=draws),
            "d_lin_ucb": DLinUCB(0.999999999, "published", 1.0, norm=norm),
            "d_lin_ucb_log": DLinUCB(0.999999, "noise", "log_T", forgets=not self.blind_discount),
            "ar2": AR2(alpha=alpha),
            "exp3": Exp3(scale=scale),
            "batch_exp3": BatchExp3(batch, scale=scale, credit=late),
        }


def standard(
    bandit: DynamicalLinearBandit, expert: tuple[float, ...] | None = None
) -> dict[str, Algorithm]:
    """Return the algorithms of the study as they are meant, by name.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The system.
    expert : tuple of float, optional
        The expert's action, if there is one.

    Returns
    -------
    dict of str to Algorithm
        Two variants with the published radius, the certified one, RS-DynLin, and the rivals.

    Examples
    --------
    >>> from mdplib import models
    >>> len(standard(models.dlb_synthetic()))
    13
    """
    from solvers.bandits.constant import Clairvoyant, Expert
    from solvers.bandits.rs_dynlin import RSDynLin
    from solvers.bandits.ucb1 import UCB1

    found: dict[str, Algorithm] = {
        "dynlin_log": DynLinUCB("paper", "log_T"),
        "dynlin_one": DynLinUCB("paper", 1.0),
        "dynlin_certified": DynLinUCB("certified", 1.0),
        "rs_dynlin": RSDynLin(),
        "lin_ucb_log": LinUCB("noise", "log_T"),
        "lin_ucb": LinUCB("published", 1.0),
        "d_lin_ucb_log": DLinUCB(0.999999, "noise", "log_T"),
        "d_lin_ucb": DLinUCB(0.999999999, "published", 1.0),
        "ar2": AR2(),
        "exp3": Exp3(),
        "batch_exp3": BatchExp3(),
        "ucb1": UCB1(),
        "clairvoyant": Clairvoyant(),
    }
    if expert is not None:
        found["expert"] = Expert(expert)
    return found
