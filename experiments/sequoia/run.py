r"""One cell of any family.

Problem       How good are policies of coupled restless bandits, the learned one among them, and
              how far can they be from the best there is?
Algorithm     Play N episodes; the value is the mean over episodes of
              sum_h r(s_h, a_h)                                                                (1)
              with r the expected one-step reward. Episode i, step h and arm j use the same
              random number whoever plays. Every distinct action is tested for feasibility by
              code that shares nothing with the programs that found it.
Guarantee     The bounds hold for every policy; exact values are exact up to rounding.
Cost          Dominated by training: minutes per instance of twenty arms.
Deviations    See README.md.
References    Xu, Wilder, Khalil and Tambe (2025), section 5.
"""

from __future__ import annotations

import time
from copy import deepcopy
from functools import cache
from typing import Any

from experiments.engine.cells import CLOCK, Row, Streams
from experiments.sequoia.cells import POLICIES, Bounded, Cell, Played, Small, Trained
from experiments.sequoia.instances import instance, small
from experiments.sequoia.policies import listed_up_to, policy
from experiments.sequoia.variants import settings
from mdplib.optim import check_backend
from mdplib.restless import CoupledRestlessBandit, simulate
from mdplib.restless.gap import reward_range
from mdplib.restless.simulation import JointPolicy
from solvers import restless

ROUNDS = 30  # of the search for the best prices


def run(cell: Cell, streams: Streams) -> Row:
    """Compute a cell, after programs of known optima have been solved once per process."""
    canaries()
    if isinstance(cell, Bounded):
        return bounded(cell, streams)
    if isinstance(cell, Played):
        return played(cell, streams)
    if isinstance(cell, Trained):
        return trained(cell, streams)
    return exact(cell, streams)


@cache
def canaries() -> None:
    """Stop here if the solver of the programs returns wrong optima."""
    check_backend("highs")


def bounded(cell: Bounded, streams: Streams) -> Row:
    """Return upper bounds, and on the clock the seconds they took."""
    bandit = instance(cell.domain, cell.n_arms, cell.budget, streams.instance)
    row, clock = bounds(bandit)
    return row | {CLOCK: clock}


def bounds(bandit: CoupledRestlessBandit) -> tuple[Row, Row]:
    """Return the bounds of an instance, the smallest as ``upper``, and seconds.

    The best prices are looked for where actions can be listed; beyond, those of the fluid program
    are taken.
    """
    limit = listed_up_to(bandit)
    listed = bandit.actions.enumerate(limit) if limit else None
    began = time.process_time()
    fluid = restless.fluid_bound(bandit, listed=listed)
    clock = {"seconds_fluid": time.process_time() - began}
    row: Row = {"fluid_upper": fluid.upper}
    if listed is not None:
        row["lagrangian_upper"] = restless.lagrangian_bound(
            bandit, fluid, listed=listed, max_rounds=ROUNDS
        ).upper
        clock["seconds_lagrangian"] = time.process_time() - began
    low, high = reward_range(bandit)
    return row | {"upper": min(row.values()), "lowest": low, "highest": high}, clock


def played(cell: Played, streams: Streams) -> Row:
    """Return the reward of each episode, None if there is no such policy here."""
    bandit = instance(cell.domain, cell.n_arms, cell.budget, streams.instance)
    began = time.process_time()
    chosen = policy(cell.policy, bandit, streams.algorithm)
    prepared = time.process_time() - began
    if chosen is None:
        return {"rewards": None}
    row, clock = episodes(bandit, chosen, cell.episodes, streams, check=cell.policy != "null")
    return row | {CLOCK: clock | {"seconds_prepare": prepared}}


def episodes(
    bandit: CoupledRestlessBandit, chosen: JointPolicy, n: int, streams: Streams, *, check: bool
) -> tuple[Row, Row]:
    """Return (1) of each episode, and on the clock the seconds per decision."""
    spent = 0.0

    def timed(h: int, s: Any) -> Any:
        nonlocal spent
        began = time.process_time()
        actions = chosen(h, s)
        spent += time.process_time() - began
        return actions

    rewards = simulate(bandit, timed, n, deepcopy(streams.evaluation), check=check)
    return {"rewards": rewards.sum(axis=1).tolist()}, {
        "seconds_decision": spent / (n * bandit.horizon)
    }  # (1)


def trained(cell: Trained, streams: Streams) -> Row:
    """Return what the learner and the greedy rule with its network earn, and how it went."""
    bandit = instance(cell.domain, cell.n_arms, cell.budget, streams.instance)
    began = time.process_time()
    found = restless.sequoia(
        bandit, streams.algorithm, settings(cell.variant, cell.n_arms, cell.training)
    )
    seconds = time.process_time() - began
    row, clock = episodes(bandit, found.policy, cell.episodes, streams, check=True)
    if cell.variant in ("default", "published"):
        greedy = restless.iterative_policy(bandit, found.policy.q)
        row["iterative_dqn"] = episodes(bandit, greedy, cell.episodes, streams, check=True)[0][
            "rewards"
        ]
    row |= {
        "trained_for": [n for n, _ in found.validation],
        "validation": [value for _, value in found.validation],
        "improved": found.improved,
        "cut": found.cut,
        "updates": len(found.losses),
    }
    return row | {CLOCK: clock | {"seconds_training": seconds}}


def exact(cell: Small, streams: Streams) -> Row:
    """Return exact values from the first state: of all policies, or of one learner."""
    bandit = small(cell.domain, streams.instance)
    if cell.learner != "none":
        chosen = settings(cell.learner, bandit.n_arms, cell.training)
        found = restless.sequoia(bandit, streams.algorithm, chosen)
        return {"value": value(bandit, found.policy)}
    row: Row = {"optimum": restless.joint_value_iteration(bandit).initial}
    row |= bounds(bandit)[0]
    for name in POLICIES:
        if name not in ("random", "sampling"):  # these draw in every state: no fixed map
            rule = policy(name, bandit, streams.algorithm)
            row[name] = None if rule is None else value(bandit, rule)
    return row


def value(bandit: CoupledRestlessBandit, chosen: JointPolicy) -> float:
    """Return the exact expected reward of an episode."""
    from solvers.restless.joint import initial_law

    return float(initial_law(bandit) @ restless.evaluate_joint(bandit, chosen)[0])
