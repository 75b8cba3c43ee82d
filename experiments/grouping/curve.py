r"""Losses of grouped learners for every number of groups, at one budget.

Problem       N samples in all, and groups that nest: how many groups lose least?
Algorithm     K = floor(N / (S m)) samples of every state and group; plan exactly in the empirical
              model, equal choices at random; evaluate the composed policy in the true one,
              loss = max_s or mean_s of V*(s) - V^{pi^ o mu}(s).                              (1)
Guarantee     Losses are exact given the samples, up to linear solves.
Cost          Policy iteration on small dense models, all repetitions at once.
Deviations    The paper's own experiments are not public.
References    After Li, Ju and Shroff (2024); models defined in `mdplib.models`.
"""

from __future__ import annotations

from experiments.engine.cells import Row, Streams
from experiments.grouping.cells import BATCH, DELTA, GROUPS, Curve
from experiments.grouping.systems import Judge, groupings, lifted, schedulers, system
from mdplib.grouping import betas, draw, loss
from solvers.grouping import plan


def run(cell: Curve, streams: Streams) -> Row:
    """Return losses, floors and bounds for every number of groups."""
    mdp = system(cell.model)
    S, gamma = mdp.n_states, mdp.gamma
    judge = Judge(mdp, "mean" if cell.model == "downlink" else "max")
    losses, floors, bounds, samples = [], [], [], []
    for m, grouping in zip(GROUPS[cell.model], groupings(cell.model), strict=True):
        n = cell.budget // (S * m)
        seen = draw(mdp, grouping, n, streams.env, repetitions=BATCH)
        learnt = plan(*seen.model(), gamma, rng=streams.algorithm)
        losses.append(judge.groups(grouping, learnt.policy))  # (1)
        exact = plan(*lifted(mdp, grouping), gamma).policy
        floors.append(float(judge.groups(grouping, exact[None])[0]))
        weights = betas(mdp, grouping)
        approximation = loss.approximation_bound(weights.max_P, weights.max_r, gamma)
        bounds.append(approximation + loss.estimation_bound(S, m, n, gamma, DELTA))
        samples.append(seen.total)
    others = schedulers(mdp) if cell.model == "downlink" else {}
    return {
        "groups": list(GROUPS[cell.model]),
        "loss": [x.tolist() for x in losses],
        "floor": floors,
        "bound": bounds,
        "samples": samples,
        "others": list(others),
        "other_losses": [judge.single(policy) for policy in others.values()],
    }
