r"""A batch of seeds of one learner on one system.

Problem       How much does a learner lose while it finds the best constant arm of a system whose
              hidden state remembers the arms?
Algorithm     Play T rounds per seed and sum the gaps of steady state at the checkpoints,
              sum_{s <= t} (J* - <h, u_s>)                                                     (1)
              with the noise of round s a function of the seed and of s alone.
Guarantee     Regret is exact given the arms: no reward noise enters it.
Cost          T rounds per seed, compiled.
Deviations    The bound X that learners are told, see README.md.
References    Mussi, Metelli and Restelli (2023), section 5; the explicit constants in
              `bounds.mussi2023_regret`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from experiments.dynlin.cells import SEEDS, Cell
from experiments.dynlin.systems import advertising_truth, expert_arm, system, told
from experiments.engine.cells import Row, Streams
from mdplib.dynamical_bandit import DynamicalLinearBandit
from solvers import bandits

PER_DECADE = 8


def checkpoints(rounds: int) -> list[int]:
    """Return the rounds at which regret is recorded: geometric, and twenty evenly spaced.

    Examples
    --------
    >>> checkpoints(100)[-6:]
    [75, 80, 85, 90, 95, 100]
    """
    geometric = 10.0 ** (np.arange(int(PER_DECADE * math.log10(rounds)) + 1) / PER_DECADE)
    even = np.linspace(rounds / 20, rounds, 20)
    return sorted({round(t) for t in (*geometric.tolist(), *even.tolist()) if 1 <= t <= rounds})


def run(cell: Cell, streams: Streams) -> Row:
    """Return regret at the checkpoints and what else the learner knows, seed by seed."""
    seeds = streams.env.integers(2**62, size=SEEDS)
    groups = [seeds] if cell.system != "signs" else list(seeds[:, None])  # one system per seed
    row: Row = {"checkpoints": checkpoints(cell.rounds)}
    errors: Row = {"h_error": None, "radius_error": None}
    for group in groups:
        bandit = system(cell, streams.instance)
        for name, value in _play(cell, bandit, group).items():
            row[name] = value if value is None else [*row.get(name, []), *value]
        if cell.system == "refit":
            errors = _errors(bandit, advertising_truth(cell))
    return row | errors


def _play(cell: Cell, bandit: DynamicalLinearBandit, seeds: NDArray[np.int64]) -> Row:
    if cell.protocol == "public":
        published = bandits.Faithful()
        algorithm = published.algorithms(bandit, cell.rounds)[cell.algorithm]
        c, bandit = published.constants(bandit, cell.rounds), published.bandit(bandit)
    else:
        algorithm = bandits.standard(bandit, expert_arm(bandit))[cell.algorithm]
        c = told(bandit, cell.rho)
        if isinstance(algorithm, bandits.DynLinUCB) and algorithm.radius == "paper":
            algorithm = replace(algorithm, paper_edge=True)  # matters where rho = 0 is told
    found = bandits.run(
        bandit,
        algorithm,
        cell.rounds,
        seeds.tolist(),
        checkpoints=checkpoints(cell.rounds),
        constants=c,
        threads=1,
    )
    (played,) = found.values()
    sets = played.has_set
    return {
        "regret": played.regret.tolist(),  # (1)
        "certificate": played.certificate.tolist() if sets else None,
        "covered": played.covered.astype(int).tolist() if sets else None,
        "ratio": played.ratio[:, -1].tolist() if sets else None,
        "updates": played.choices.tolist(),
        "expected": played.expected[:, -1].tolist(),
    }


def _errors(found: DynamicalLinearBandit, true: DynamicalLinearBandit) -> Row:
    h = np.abs(found.markov_parameter - true.markov_parameter).max()
    radius = abs(found.spectral_radius.upper - true.spectral_radius.upper)
    return {"h_error": float(h), "radius_error": float(radius)}
