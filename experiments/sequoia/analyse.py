"""From rows to shares of the bound, certified gaps, improvements, ablations and exact ratios."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.engine.cells import Analysis, Finished, Row
from experiments.sequoia.cells import FEATURES, FOUR, POLICIES, PULLED, WIDTHS, Domain, Small
from experiments.sequoia.readings import improvements
from experiments.sequoia.scores import (
    ITERATIVE_DQN,
    SEQUOIA,
    Scores,
    Setting,
    collect,
    quantile,
    student,
    within,
)
from mdplib.restless.gap import GapMethod
from mdplib.statistics import Interval

LEARNERS = (ITERATIVE_DQN, "iterative_published", "published", "published_programs", SEQUOIA)
EVERYBODY = (*POLICIES, *LEARNERS)
KINDS: dict[str, GapMethod] = {"gap": "betting", "nominal_gap": "student"}
VERSIONS = ("improvement", "improvement_preprint", "improvement_submission")  # one number each
Measured = dict[str, Interval]


def analyse(finished: Sequence[Finished]) -> Analysis:
    """Return the tables of the figures and the measured quantities of the claims."""
    scores = collect(finished)
    measured: Measured = {}
    known = {setting: each for setting, each in scores.items() if setting.published}
    scores = (
        known or scores
    )  # the small settings of the smoke scale, only where there are no others
    tables: dict[str, Any] = {"scores": scores}
    for setting, each in known.items():
        measured |= _setting(setting, each)
    measured |= _best(known) | _seconds(known)
    tables["improvements"] = {}
    for learner in (SEQUOIA, "published"):
        tables["improvements"][learner] = improvements(scores, learner)
        found = improvements(known, learner)
        for version in VERSIONS:
            measured |= {f"{version}/{learner}/{r.name}": i for r, i in found.items()}
    tables["ablations"] = {s: _ablations(each) for s, each in scores.items()}
    tables["small"] = _small(finished)
    for domain, shares in tables["small"].items():
        measured |= {f"exact/{domain}/{who}": student(np.array(x)) for who, x in shares.items()}
        most = [max(x) for who, x in shares.items() if who != "upper"]
        measured[f"exact_most/{domain}"] = _exactly(max(most), len(most), "largest")
        if "upper" in shares:
            least = shares["upper"]
            measured[f"exact_least/{domain}"] = _exactly(min(least), len(least), "smallest")
    return Analysis(tables, measured)


def _exactly(value: float, n: int, what: str) -> Interval:
    return Interval(value, value, value, 1.0, what, n)


def _setting(setting: Setting, each: Scores) -> Measured:
    """Return what is measured in one setting."""
    found: Measured = {}
    place = f"{setting.domain}/{setting.n_arms}"
    for who in each.rewards:
        if who in EVERYBODY and each.instances(who):
            found[f"share/{place}/{who}"] = student(each.share(who))
            found[f"under/{place}/{who}"] = found[
                f"share/{place}/{who}"
            ]  # than 1, for every policy
            for name, method in KINDS.items():
                found[f"{name}/{place}/{who}"] = student(each.gaps(who, method))
            if each.instances(who, "null"):
                found[f"normalised/{place}/{who}"] = student(each.normalised(who))
    for who, rival in ((SEQUOIA, "myopic"), (SEQUOIA, "fluid"), ("published", "myopic")):
        pairs = each.differences(who, rival)
        if pairs:
            name = f"minus/{place}/{who}/{rival}"
            found[name] = student(np.array([d.mean() for d in pairs]))
            found[f"{name}/within"] = within(pairs)
    at = each.instances("iterative", "myopic")
    if at:
        below = 1.0 - each.mean("iterative", at) / each.mean("myopic", at)
        found[f"below_myopic/{place}/iterative"] = student(below)
    return found


def _best(scores: Mapping[Setting, Scores]) -> Measured:
    """Return, by size, the certified gap of the best policy, and of fixed ones, over PULLED."""
    found: Measured = {}
    for n_arms in sorted({s.n_arms for s in scores}):
        mine = {s.domain: each for s, each in scores.items() if s.n_arms == n_arms}
        parts = [mine[d] for d in PULLED if d in mine]
        if len(parts) < len(PULLED):
            continue
        for who in ("best", SEQUOIA, "fluid"):
            for name, method in KINDS.items():
                gaps = [_gaps(each, who, method) for each in parts]
                if all(len(g) for g in gaps):
                    found[f"{name}/{n_arms}/{who}"] = _mean_of(gaps)
        below = [
            1.0 - each.mean("iterative", at) / each.mean("myopic", at)
            for each in parts
            if (at := each.instances("iterative", "myopic"))
        ]
        if below:
            found[f"below_myopic/{n_arms}/iterative"] = _mean_of(below)
    return found


def _seconds(scores: Mapping[Setting, Scores]) -> Measured:
    """Return the longest training of each learner, by size."""
    found: Measured = {}
    for n_arms in sorted({s.n_arms for s in scores}):
        for who in (SEQUOIA, "published", "published_programs"):
            clocks = [
                clock["training"]
                for setting, each in scores.items()
                for clock in each.seconds.get(who, {}).values()
                if setting.n_arms == n_arms and "training" in clock
            ]
            if clocks:
                name = f"seconds/training/{n_arms}/{who}"
                found[name] = _exactly(max(clocks), len(clocks), "largest")
    return found


def _gaps(each: Scores, who: str, method: GapMethod) -> np.ndarray:
    """Return the certified gaps of a policy; "best" is the one of largest mean in the setting.

    Only those that have played on every instance can be the best.
    """
    if who == "best":
        all_round = [w for w in each.rewards if each.instances(w) == each.instances()]
        known = {w: each.share(w).mean() for w in all_round if w in EVERYBODY}
        who = max(known, key=lambda w: known[w], default=SEQUOIA)
    return each.gaps(who, method) if who in each.rewards else np.empty(0)


def _mean_of(groups: Sequence[np.ndarray]) -> Interval:
    """Return an interval of the mean of group means; instances vary within groups."""
    mean = float(np.mean([g.mean() for g in groups]))
    n = sum(map(len, groups))
    if min(map(len, groups)) < 2:
        return Interval(-np.inf, mean, np.inf, 0.95, "Student, over instances within domains", n)
    squares = np.array([g.var(ddof=1) / len(g) for g in groups])
    half = quantile(0.975, n - len(groups)) * float(np.sqrt(squares.sum())) / len(groups)
    return Interval(
        mean - half, mean, mean + half, 0.95, "Student, over instances within domains", n
    )


def _ablations(each: Scores) -> dict[str, tuple[Interval, Interval]]:
    """Return share of the bound, and difference of shares from the default, by variant."""
    found = {}
    for who in (*FEATURES, *WIDTHS, "published", SEQUOIA):
        at = each.instances(who, SEQUOIA)
        if at and any(v in each.rewards for v in (*FEATURES, *WIDTHS)):
            bound = each.bound(at)
            mine, default = each.mean(who, at) / bound, each.mean(SEQUOIA, at) / bound
            found[who] = (student(mine), student(mine - default))
    return found


def _small(finished: Sequence[Finished]) -> dict[Domain, dict[str, list[float]]]:
    """Return shares of the exact optimum, doing nothing taken off, by domain and policy."""
    rows: dict[tuple[Domain, int], dict[str, Row]] = defaultdict(dict)
    ordered = sorted(finished, key=lambda each: getattr(each.cell, "training", 0))
    for cell, row in ordered:  # the longest training counts
        if isinstance(cell, Small):
            rows[cell.domain, cell.replicate][cell.learner] = row
    found: dict[Domain, dict[str, list[float]]] = {}
    for domain in FOUR:
        shares: dict[str, list[float]] = defaultdict(list)
        for (where, _), parts in sorted(rows.items(), key=lambda item: item[0][1]):
            if where != domain or "none" not in parts:
                continue
            base = parts["none"]
            idle, best = base["null"], base["optimum"]
            values = {p: base[p] for p in POLICIES if base.get(p) is not None}
            values |= {
                name: parts[learner]["value"]
                for learner, name in (("default", SEQUOIA), ("published", "published"))
                if learner in parts
            }
            values["upper"] = base["upper"]
            for who, value in values.items():
                shares[who].append((value - idle) / (best - idle))
        if shares:
            found[domain] = dict(shares)
    return found
