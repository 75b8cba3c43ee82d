"""The experiment on coupled restless bandits: small live cells, and analysis of made-up rows."""

from typing import Any

import numpy as np
import pytest

from experiments.claims import judged, read_claims
from experiments.engine.cells import CLOCK, SCALES, Experiment, Finished, check_row, key
from experiments.sequoia import analyse, cells, figures, readings
from experiments.sequoia.cells import FOUR, POLICIES, Bounded, Domain, Played, Small, Trained
from experiments.sequoia.instances import instance, small
from experiments.sequoia.readings import Reading, improvements
from experiments.sequoia.run import run
from experiments.sequoia.scores import Scores, Setting, collect, student, within
from experiments.sequoia.variants import CHANGES, settings
from experiments.style import paper
from mdplib.sampling import streams
from solvers.restless import Settings

EXPECTED = str(figures.__file__).replace("figures.py", "expected.toml")
N = 40  # episodes of the live cells


def row(cell, entropy=5):
    found = run(cell, streams(entropy, "sequoia", cell.replicate))
    kept = {name: value for name, value in found.items() if name != CLOCK}
    return check_row(kept, cell, allow_nan=False)


def play(policy, domain: Domain = "capacity", n_arms=6, budget=2, replicate=0):
    return row(Played(domain, n_arms, budget, policy, N, replicate))


# --------------------------------------------------------------------------------- cells


def test_cells_are_stable():
    """Addresses decide which rows are reused: they change on purpose only."""
    fixed = Experiment("sequoia", "", 1, 7, cells=cells.cells, run=lambda c, s: {})
    assert key(fixed, Bounded("walks", 20, 5, 0)) == "6b88edf69d32abc309115999a0dc17cf"


def test_what_the_scales_contain():
    for scale in SCALES:
        found = list(cells.cells(scale))
        assert len(set(found)) == len(found)
        learners = {(c.domain, c.variant) for c in found if isinstance(c, Trained)}
        assert {(domain, "default") for domain in FOUR} <= learners
        bounded = {(c.domain, c.n_arms, c.budget, c.replicate) for c in found if type(c) is Bounded}
        for cell in found:  # everything played can be held against a bound
            if isinstance(cell, Played | Trained):
                assert (cell.domain, cell.n_arms, cell.budget, cell.replicate) in bounded
    paper_scale = list(cells.cells("paper"))
    assert {20, 40, 100} <= {c.n_arms for c in paper_scale if isinstance(c, Played)}
    for domain in FOUR:
        seeds = {c.replicate for c in paper_scale if type(c) is Bounded and c.domain == domain}
        assert len(seeds) >= 10


def test_the_longest_run_counts():
    short, long = (Trained("walks", 20, 5, "default", n, n, 0) for n in (2, 9))
    bound = Bounded("walks", 20, 5, 0)
    rows: list[Any] = [
        Finished(long, {"rewards": [3.0] * 9}),
        Finished(short, {"rewards": [1.0] * 2}),
        Finished(bound, {"upper": 9.0}),
    ]
    found = collect(rows)[Setting("walks", 20, 5)]
    assert found.rewards["sequoia"][0].tolist() == [3.0] * 9


def test_variants_change_one_thing():
    default = settings("default", 20, 30)
    assert default == Settings(episodes=30, listed=default.listed)
    for name, changes in CHANGES.items():
        found = settings(name, 20, 30)
        changed = {k for k, v in vars(found).items() if v != getattr(default, k)}
        assert changed <= set(changes)
    public = settings("published_programs", 20, 100)
    assert public == Settings.faithful()
    same = {k: v for k, v in vars(settings("published", 20, 100)).items() if k != "listed"}
    assert same.items() <= vars(public).items()
    assert settings("default", 40, 2).validation < default.validation


# ---------------------------------------------------------------------------- live cells


@pytest.mark.parametrize("cell", [
    Bounded("schedule", 6, 2, 0),
    Played("interventions", 12, 3, "sampling", 5, 1),
    Trained("capacity", 5, 2, "default", 1, 5, 0),
    Small("walks", "none", 0, 0),
])  # fmt: skip
def test_equal_cells_give_equal_rows(cell):
    assert row(cell) == row(cell)
    assert row(cell) != row(cell, entropy=6)


def test_rewards_are_those_of_plain_episodes():
    """Oracle: walk through an episode number by number, without the simulation of the library."""
    bandit = instance("capacity", 6, 2, streams(5, "sequoia", 0).instance)
    u = streams(5, "sequoia", 0).evaluation.random((N, bandit.horizon + 1, 6))
    expected = []
    for episode in u:
        state = [int(episode[0, j] >= bandit.initial[j, 0]) for j in range(6)]
        total = 0.0
        for h in range(bandit.horizon):
            total += sum(bandit.arms.r[j, 0, state[j]] for j in range(6))
            for j in range(6):
                reached, t = 0.0, 0
                for t in range(4):
                    reached += bandit.arms.P[j, 0, state[j], t]
                    if episode[h + 1, j] < reached:
                        break
                state[j] = t
        expected.append(total)
    assert play("null")["rewards"] == pytest.approx(expected)


def test_everybody_is_below_the_bound_and_the_far_sighted_are_above_the_myopic():
    places: list[tuple[Domain, int, int]] = [
        ("capacity", 6, 2),
        ("schedule", 6, 2),
        ("walks", 20, 2),
    ]
    for domain, n_arms, budget in places:
        upper = row(Bounded(domain, n_arms, budget, 0))["upper"]
        mean, error = {}, {}
        for policy in POLICIES:
            rewards = play(policy, domain, n_arms, budget)["rewards"]
            if rewards is not None:
                mean[policy] = np.mean(rewards)
                error[policy] = np.std(rewards, ddof=1) / np.sqrt(N)
                assert mean[policy] <= upper + 4 * error[policy]
        assert mean["null"] < mean["random"] < mean["myopic"] + error["myopic"]
        assert mean["fluid"] >= mean["myopic"]


def test_simulated_and_exact_values_agree():
    from experiments.sequoia.policies import policy
    from experiments.sequoia.run import value
    from mdplib.restless import simulate

    for domain in FOUR:
        known = row(Small(domain, "none", 0, 0))
        bandit = small(domain, streams(5, "sequoia", 0).instance)
        rule = policy("myopic", bandit, np.random.default_rng(0))
        assert rule is not None
        rewards = simulate(bandit, rule, 400, np.random.default_rng(1), check=True).sum(axis=1)
        assert value(bandit, rule) == known["myopic"]
        assert abs(rewards.mean() - known["myopic"]) <= 4 * rewards.std(ddof=1) / 20
        for who in ("null", "myopic", "fluid", "whittle"):
            if known.get(who) is not None and (who, domain) != ("null", "interventions"):
                assert known[who] <= known["optimum"] + 1e-9
        assert known["optimum"] <= known["upper"]


def test_a_learner_is_not_below_where_it_began():
    """The best network on validation is kept; the base is the fluid-priced policy."""
    found = row(Trained("schedule", 6, 2, "default", 2, N, 0))
    assert max(found["validation"]) >= found["validation"][0]
    assert np.mean(found["rewards"]) > np.mean(play("myopic", "schedule")["rewards"])
    known, learnt = row(Small("schedule", "none", 0, 0)), row(Small("schedule", "default", 1, 0))
    assert known["myopic"] <= learnt["value"] <= known["optimum"] + 1e-9


# -------------------------------------------------------------------------------- numbers


def scored(upper, **means):
    """Return scores with two episodes around each mean."""
    made = Scores(upper=dict(enumerate(upper)))
    for who, values in means.items():
        made.rewards[who] = {i: np.array([v - 0.5, v + 0.5]) for i, v in enumerate(values)}
    return made


TWO = {
    Setting("capacity", 20, 5): scored([20, 20], sequoia=[12, 18], myopic=[10, 9],
                                       sampling=[8, 12], fluid=[15, 15], null=[2, 2]),
    Setting("walks", 20, 5): scored([50, 50], sequoia=[30, 42], myopic=[20, 40],
                                    sampling=[5, 5], fluid=[30, 40], null=[0, 10]),
}  # fmt: skip


@pytest.mark.parametrize(("reading", "by_hand"), [
    (("raw", "myopic", "mean of settings"), (30 / 19 + 72 / 60) / 2 - 1),
    (("raw", "myopic", "mean of instances"), (12 / 10 + 18 / 9 + 30 / 20 + 42 / 40) / 4 - 1),
    (("raw", "myopic", "ratio of sums"), (15 + 36) / (9.5 + 30) - 1),
    (("raw", "best of setting", "mean of settings"), (30 / 20 + 72 / 60) / 2 - 1),
    (("raw", "best of instance", "mean of settings"), (30 / 22 + 72 / 60) / 2 - 1),
    (("raw", "best of setting, fluid", "mean of settings"), (30 / 30 + 72 / 70) / 2 - 1),
    (("raw", "best of instance, fluid", "mean of instances"), (12 / 15 + 18 / 15 + 2.05) / 4 - 1),
    (("null off", "myopic", "mean of settings"), (26 / 15 + 62 / 50) / 2 - 1),
    (("null off", "best of instance", "ratio of sums"), (26 / 2 + 62 / 2) / (18 / 2 + 50 / 2) - 1),
])  # fmt: skip
def test_readings_by_hand(reading, by_hand):
    found = improvements(TWO, "sequoia")
    assert len(found) == 30
    mine = found[Reading(*reading)]
    assert mine.estimate == pytest.approx(by_hand)
    assert mine.low <= by_hand <= mine.high
    others = {round(i.estimate, 9) for r, i in found.items() if tuple(r) != reading}
    assert len(others) > 10  # a reading mistaken for another would be seen


def test_learners_that_have_not_played_have_no_improvement():
    assert improvements(TWO, "published") == {}


def test_certified_gaps_use_lower_limits():
    rng = np.random.default_rng(0)
    missed = plain = proven = 0
    for _ in range(300):
        made = Scores({0: 10.0}, {0: {"lowest": 0.0}}, {"fluid": {0: rng.normal(8.0, 1.0, 20)}})
        nominal, exact = made.gaps("fluid", "student")[0], made.gaps("fluid")[0]
        assert exact > nominal
        missed += nominal < 0.2  # the true gap
        proven += exact < 0.2
        plain += 1.0 - made.share("fluid")[0] < 0.2  # mutant: no confidence
    assert missed <= 0.05 * 300 + 4 * np.sqrt(0.05 * 0.95 * 300)
    assert proven <= missed
    assert plain > 100


def test_intervals_cover():
    rng = np.random.default_rng(1)
    hits = within_hits = 0
    for _ in range(1000):
        effects = rng.normal(0.0, 1.0, 4)
        arrays = [e + rng.normal(0.0, 2.0, 15) for e in effects]
        i = student(np.array([x.mean() for x in arrays]))
        hits += i.low <= 0.0 <= i.high
        j = within(arrays)
        within_hits += j.low <= effects.mean() <= j.high
    assert min(hits, within_hits) >= 950 - 4 * np.sqrt(1000 * 0.05 * 0.95)
    alone = student(np.array([1.0]))
    assert (alone.low, alone.high) == (-np.inf, np.inf)


# ------------------------------------------------------------------------- made-up rows

GOOD = {"null": 0.13, "random": 0.3, "sampling": 0.5, "myopic": 0.55, "iterative": 0.47,
        "whittle": 0.93, "fluid": 0.95, "default": 0.97, "published": 0.69}  # fmt: skip


def made_up(scale, level):
    """Return rows whose rewards are about `level` of a bound of 100."""
    finished = []
    for cell in cells.cells(scale):
        rng = np.random.default_rng([cell.replicate, len(cell.domain)])
        if isinstance(cell, Bounded):
            found = {"upper": 100.0, "fluid_upper": 101.0, "lowest": 0.0, "seconds_fluid": 0.1}
        elif isinstance(cell, Small):
            found = {"value": 99.0}
            if cell.learner == "none":
                found = {p: 100.0 * level[p] for p in POLICIES if p not in ("random", "sampling")}
                found |= {"optimum": 100.0, "upper": 104.0}
        else:
            who = cell.policy if isinstance(cell, Played) else cell.variant
            noise = rng.normal(0.0, 0.5, cell.episodes) + rng.normal(0.0, 0.2)
            own = np.random.default_rng(len(who)).normal(0.0, 0.1, cell.episodes)
            mean = 100.0 * level.get(who, 0.9)
            found = {"rewards": (mean + noise + own).tolist(), "seconds_decision": 1e-3}
            if isinstance(cell, Trained):
                found |= {"validation": [1.0, 2.0], "trained_for": [0, 1], "improved": True}
                found |= {"iterative_dqn": found["rewards"], "seconds_training": 60.0}
        finished.append(Finished(cell, found))
    return finished


def judgements(finished):
    return {
        entry["claim"]["name"]: entry["judgement"]
        for entry in judged(EXPECTED, analyse.analyse(finished).measured)
    }


def test_claims_on_good_and_bad_rows(monkeypatch):
    monkeypatch.setattr(readings, "RESAMPLES", 50)
    good = judgements(made_up("default", GOOD))
    aims = ["gap/20/best", "gap/20/sequoia", *(f"minus/{d}/20/sequoia/myopic" for d in FOUR)]
    aims += [f"exact_most/{d}" for d in FOUR] + [f"exact/{d}/sequoia" for d in FOUR]
    assert {good[name] for name in aims} == {"agree"}
    assert good["below_myopic/20/iterative"] == "agree"
    bad = judgements(made_up("default", GOOD | {"default": 0.5, "fluid": 0.8, "whittle": 0.8}))
    assert bad["gap/20/best"] == bad["gap/20/sequoia"] == "differs"
    assert {bad[f"minus/{d}/20/sequoia/myopic"] for d in FOUR} == {"differs"}
    wrong = judgements(made_up("default", GOOD | {"fluid": 1.05}))  # above a proven bound
    assert {wrong[f"under/{d}/20/fluid"] for d in ("interventions",)} == {"differs"}


def test_other_sizes_than_the_papers_are_not_held_against_it():
    measured = analyse.analyse(made_up("smoke", GOOD)).measured
    assert measured
    assert all(name.startswith("exact") for name in measured)


def test_claims_speak_of_what_is_measured(monkeypatch):
    monkeypatch.setattr(readings, "RESAMPLES", 50)
    measured = analyse.analyse(made_up("paper", GOOD)).measured
    unknown = {c.name for c in read_claims(EXPECTED)} - set(measured)
    assert not unknown


@pytest.mark.parametrize("scale", SCALES)
def test_figures(scale, monkeypatch):
    monkeypatch.setattr(readings, "RESAMPLES", 50)
    with paper():
        drawn = list(figures.draw(analyse.analyse(made_up(scale, GOOD))))
    names = [each.name for each in drawn]
    assert len(set(names)) == len(names) == (10 if scale != "smoke" else 9)
    assert all(each.numbers["caption"] for each in drawn)
    table = next(each for each in drawn if each.name == "4-gaps").numbers["gaps"]
    assert {"nominal", "proven"} <= set(next(iter(table.values()))["fluid"])


def test_nothing_is_drawn_from_nothing():
    found = analyse.analyse([])
    assert found.measured == {}
    assert list(figures.draw(found)) == []


def test_an_unfinished_sweep_can_be_analysed():
    everything = made_up("default", GOOD)
    with paper():
        for kind in (Bounded, Played, Trained, Small):
            some = [each for each in everything if type(each.cell) is not kind]
            list(figures.draw(analyse.analyse(some)))
        list(figures.draw(analyse.analyse(everything[::3])))
