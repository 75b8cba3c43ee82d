"""One model through every format; order does not matter; the decisions on edge cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import mdplib
import solvers
from mdplib import InvalidModelError, LabelledMDP, TabularMDP, models
from mdplib.io import Report, from_gymnasium, from_mdpsolver, read_with_report, to_gymnasium
from mdplib.io.convert import labelled_from

GAMMA = 0.9


def model() -> TabularMDP:
    """Every action everywhere, so that MDPtoolbox can hold it too."""
    mdp = models.garnet(6, 2, 3, np.random.default_rng(8), gamma=GAMMA)
    return mdp.replace(initial=np.full(6, 1 / 6))


def by_file(suffix: str) -> Callable[[TabularMDP, Path], TabularMDP]:
    def through(mdp: TabularMDP, folder: Path) -> TabularMDP:
        path = folder / f"model{suffix}"
        mdplib.write(mdp, path, lossy=True)
        return mdplib.read(path, gamma=GAMMA)

    return through


def bare_npz(mdp: TabularMDP, folder: Path) -> TabularMDP:
    P, R = mdp.to_dense()
    np.savez(folder / "bare.npz", P=np.asfortranarray(P), R=R, gamma=mdp.gamma)
    return mdplib.read(folder / "bare.npz")  # type: ignore[return-value]


def toolbox_npz(mdp: TabularMDP, folder: Path) -> TabularMDP:
    P, R = mdp.to_mdptoolbox()
    np.savez_compressed(folder / "bare.npz", P=np.stack([p.toarray() for p in P]), R=R)
    return mdplib.read(folder / "bare.npz", gamma=GAMMA)


def toolbox_sparse_rewards(mdp: TabularMDP, folder: Path) -> TabularMDP:
    P, R = mdp.to_mdptoolbox()
    paid = [sp.csr_array((p != 0) * R[:, [a]]) for a, p in enumerate(P)]
    return TabularMDP.from_mdptoolbox(P, paid, GAMMA)


def quantecon(mdp: TabularMDP, folder: Path) -> TabularMDP:
    R, Q, beta, s, a = mdp.to_quantecon()
    order = np.random.default_rng(0).permutation(R.size)
    return TabularMDP.from_quantecon(R[order], Q[order], beta, s[order], a[order])


def nested(mdp: TabularMDP) -> list[list[list[tuple[int, float]]]]:
    table = mdp.to_dict()
    return [[[(t, p) for p, t, _ in row[a]] for a in sorted(row)] for row in table.values()]


def mdpsolver(form: str) -> Callable[[TabularMDP, Path], TabularMDP]:
    def through(mdp: TabularMDP, folder: Path) -> TabularMDP:
        P, R = mdp.to_dense()
        rows = [
            [s, a, t, p]
            for s, actions in enumerate(nested(mdp))
            for a, row in enumerate(actions)
            for t, p in row
        ]
        given: dict[str, Any] = {}
        if form == "zeros":
            given["tranMatWithZeros"] = P.tolist()
        elif form == "elements":
            given["tranMatElementwise"] = rows[::-1]
        elif form == "columns":
            given["tranMatProbs"] = [[[p for _, p in r] for r in row] for row in nested(mdp)]
            given["tranMatColumns"] = [[[t for t, _ in r] for r in row] for row in nested(mdp)]
        else:
            text = "\n".join(",".join(map(repr, row)) for row in rows)
            (folder / "rows.csv").write_text(("s,a,t,p\n" if form == "header" else "") + text)
            given["tranMatFromFile"] = folder / "rows.csv"
        return from_mdpsolver(GAMMA, R.tolist(), **given)

    return through


def gymnasium(mdp: TabularMDP, folder: Path) -> TabularMDP:
    return from_gymnasium(to_gymnasium(mdp), GAMMA)


ROUTES: dict[str, Callable[[TabularMDP, Path], TabularMDP]] = {
    **{suffix: by_file(suffix) for suffix in (".npz", ".umb", ".drn", ".json", ".jsonl", ".csv")},
    **{f"mdpsolver {f}": mdpsolver(f) for f in ("zeros", "elements", "columns", "file", "header")},
    "bare npz": bare_npz,
    "MDPtoolbox npz": toolbox_npz,
    "MDPtoolbox": lambda mdp, _: TabularMDP.from_mdptoolbox(*mdp.to_mdptoolbox(), GAMMA),
    "MDPtoolbox, sparse rewards": toolbox_sparse_rewards,
    "QuantEcon": quantecon,
    "Gymnasium": gymnasium,
    "dictionary": lambda mdp, _: TabularMDP.from_dict(mdp.to_dict(), GAMMA),
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_format_gives_the_same_model_and_value(route: str, tmp_path: Path):
    mdp = model()
    again = ROUTES[route](mdp, tmp_path)
    assert again.n_states == mdp.n_states
    assert again.data == pytest.approx(mdp.data, abs=1e-15)
    ours, theirs = (solvers.solve(m, tol=1e-10) for m in (mdp, again))
    assert np.all(theirs.lower <= ours.upper)
    assert np.all(ours.lower <= theirs.upper)


@pytest.mark.parametrize("suffix", [".npz", ".umb", ".drn", ".json", ".csv"])
def test_order_does_not_matter(suffix: str, tmp_path: Path):
    """States and actions numbered differently: the value of the start is the same."""
    mdp = model()
    rng = np.random.default_rng(1)
    P, r = mdp.to_dense()
    place, turn = rng.permutation(6), rng.permutation(2)
    shuffled = TabularMDP.from_dense(P[place][:, turn][:, :, place], r[place][:, turn], GAMMA)
    again = by_file(suffix)(shuffled, tmp_path)
    ours, theirs = (solvers.solve(m, tol=1e-10) for m in (mdp, again))
    assert theirs.value == pytest.approx(ours.value[place], abs=1e-9)


# ---------------------------------------------------------------------- edge cases

# Found from a PRISM program: 0: a (pays 1) to 1 or 2, b (pays 2) to 3; 1 goal; 2 has no command and
# a state reward of 7; 3: go (pays 1) to 3 or 4 with 9/10 and 1/10, stay; 4 goal.
EDGE = """@type: MDP
@value_type: rational
@parameters

@reward_models
cost 
@nr_states
5
@nr_choices
6
@model
state 0 [0] init
	action a [1]
		1 : 1/2
		2 : 1/2
	action b [2]
		3 : 1
state 1 [0] goal
	action 0 [0]
		1 : 1
state 2 [7]
state 3 [0]
	action go [1]
		3 : 9/10
		4 : 1/10
	action stay [0]
		3 : 1
state 4 [0] goal
	action 0 [0]
		4 : 1
"""


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    path = tmp_path / "edge.drn"
    path.write_text(EDGE)
    return path


def test_a_state_without_choice_is_an_error_or_absorbs(edge: Path):
    with pytest.raises(InvalidModelError, match=r"state 2 has no action.*no_action='absorb'"):
        mdplib.read(edge)
    with pytest.raises(InvalidModelError, match="no_action is 'drop'"):
        mdplib.read(edge, no_action="drop")  # type: ignore[call-overload]
    found, report = read_with_report(edge, no_action="absorb")
    assert isinstance(found, LabelledMDP)
    assert found.state_ptr.tolist() == [0, 2, 3, 4, 6, 7]
    assert found.indices[found.indptr[3] : found.indptr[4]].tolist() == [2]
    assert np.flatnonzero(found.labels["deadlock"]).tolist() == [2]
    assert found.pair_labels == ("a", "b", "0", "", "go", "stay", "0")
    assert (report.deadlocks, report.absorbing) == (1, 3)


def test_the_reward_of_a_state_without_choice_is_dropped_as_storm_does(edge: Path):
    found, report = read_with_report(edge, no_action="absorb")
    assert isinstance(found, LabelledMDP)
    assert found.rewards["cost"].tolist() == [1, 2, 0, 0, 1, 0, 0], "not 7"
    assert any("dropped" in warning for warning in report.warnings)


def test_values_that_storm_computed(edge: Path):
    """Checked exactly by Storm: discounted reward and reachability of the model above."""
    found = mdplib.read(edge, no_action="absorb")
    assert isinstance(found, LabelledMDP)
    discounted = solvers.solve(found.discounted(0.9), tol=1e-10)
    expected = [2 + 0.9 / 0.19, 0, 0, 1 / 0.19, 0]
    assert discounted.value == pytest.approx(expected, abs=1e-9)
    for objective, values in (("max", [1, 1, 0, 1, 1]), ("min", [0, 1, 0, 0, 1])):
        reach = found.reach("goal", "max" if objective == "max" else "min")
        solution = solvers.solve(reach, tol=1e-8)
        assert solution.value == pytest.approx(values, abs=1e-7)
    for objective, values in (
        ("min", [12, 0, np.inf, 10, 0]),
        ("max", [np.inf, 0, np.inf, np.inf, 0]),
    ):
        cost = found.expected_reward("goal", "max" if objective == "max" else "min")
        solution = solvers.solve(cost, tol=1e-6)
        assert solution.value.tolist() == pytest.approx(values, abs=1e-5)


def table(*rows: str) -> str:
    return "\n".join(["idstatefrom,idaction,idstateto,probability,reward", *rows])


@pytest.mark.parametrize("digits", [7, 9, 12, 17])
def test_row_sums_are_mended_up_to_1e_6_and_reported(digits: int, tmp_path: Path):
    path = tmp_path / "thirds.csv"
    p = f"{1 / 3:.{digits}g}"
    path.write_text(table(f"0,0,0,{p},1", f"0,0,1,{p},1", f"0,0,2,{p},1", "1,0,1,1,0", "2,0,2,1,0"))
    found, report = read_with_report(path)
    assert isinstance(found, LabelledMDP)
    assert found.data[:3].tolist() == pytest.approx([1 / 3] * 3, abs=1e-16)
    assert report.renormalised == (digits < 17)
    assert report.worst_row_error == pytest.approx(abs(1 - 3 * float(p)), abs=1e-16)
    found.reach([1])  # rows sum to one up to rounding


def test_row_sums_off_by_more_are_refused(tmp_path: Path):
    path = tmp_path / "thirds.csv"
    path.write_text(table("0,0,0,0.33333,1", "0,0,1,0.66666,1", "1,0,1,1.000002,0"))
    message = r"P\[s=0, a=0, :\] sums to 0.99999 .*2 of 2 rows are off, this one most"
    with pytest.raises(InvalidModelError, match=message):
        mdplib.read(path)


def test_a_row_of_zeros_is_refused(tmp_path: Path):
    path = tmp_path / "zero.csv"
    path.write_text(table("0,0,0,0,1"))
    with pytest.raises(InvalidModelError, match=r"P\[s=0, a=0, :\] sums to 0"):
        mdplib.read(path)


def test_terminal_flags_lead_to_a_state_that_pays_nothing():
    mdp = from_gymnasium("CliffWalking-v1", gamma=0.99)
    assert mdp.n_states == 49
    assert mdp.actions(48).tolist() == [0]
    assert mdp.layer(0).reward[mdp.state_ptr[48]] == 0


def test_reports_read_well():
    report = Report("drn", 1e-9, "s=0, a=1", 2, 3, 4, 5, 6, 7, ("a warning",))
    assert str(report) == (
        "drn: worst row sum off by 1e-09 at s=0, a=1; 2 rows renormalised; 3 duplicate transitions "
        "merged; 4 zero probabilities dropped; 5 infeasible pairs left out; 6 absorbing states; 7 "
        "states without a choice given a self-loop; a warning"
    )
    assert str(Report("npz")) == "npz: nothing to report"
    assert report.adding("another").warnings == ("a warning", "another")


# ------------------------------------------------------------------------ questions


def test_read_asks_the_discounted_question(edge: Path):
    two = model()
    plain, _, _ = labelled_from(two)
    path = edge.with_suffix(".umb")
    mdplib.write(plain.replace(rewards={"a": two.reward, "b": -two.reward}), path)
    assert mdplib.read(path, gamma=GAMMA, reward="a").reward.tolist() == two.reward.tolist()
    with pytest.raises(InvalidModelError, match=r"name one of the model's rewards.*a, b"):
        mdplib.read(path, gamma=GAMMA)
    with pytest.raises(InvalidModelError, match="no gamma to discount it"):
        mdplib.read(path, reward="a")
    undiscounted = plain.reach([0])
    mdplib.write(undiscounted, edge.with_suffix(".npz"))
    with pytest.raises(InvalidModelError, match="holds an undiscounted problem"):
        mdplib.read(edge.with_suffix(".npz"), gamma=GAMMA)
    with pytest.raises(InvalidModelError, match="umb would lose criterion, objective"):
        mdplib.write(undiscounted, path)
    mdplib.write(undiscounted, path, lossy=True)
    assert "target" in mdplib.read(path).labels  # type: ignore[union-attr]


def test_foreign_arrays_that_do_not_fit(tmp_path: Path):
    path = tmp_path / "bare.npz"
    P, R = model().to_dense()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"Q": P}, "holds the arrays Q.*Arrays P and R expected"),
        ({"P": P, "R": R}, "has no array gamma. Pass gamma"),
        ({"P": P[0], "R": R, "gamma": 0.9}, r"P has shape \(2, 6\)"),
        ({"P": P, "R": R[:3], "gamma": 0.9}, "r has shape"),
        ({"P": P * 0.5, "R": R, "gamma": 0.9}, "sums to 0.5"),
        ({"P": P, "R": R, "gamma": 1.0}, "gamma is 1.0"),
    ]
    for arrays, message in cases:
        np.savez(path, **arrays)
        with pytest.raises(InvalidModelError, match=message) as caught:
            mdplib.read(path)
        assert str(path) in str(caught.value)
    np.savez(path, P=np.full((2, 1, 2), 0.5), R=[[-np.inf], [1.0]], gamma=0.5)
    with pytest.raises(InvalidModelError, match="state 0 has no action"):
        mdplib.read(path)
    np.savez(path, P=np.full((2, 3, 2), 0.5), R=[[-np.inf, 1, 2], [3, 4, -np.inf]], gamma=0.5)
    assert read_with_report(path)[1].infeasible == 2
    np.savez(path, P=np.full((2, 2, 2), 0.5), r=[1.0, 2.0], gamma=[0.5])
    found, report = read_with_report(path)
    assert found.reward.tolist() == [1, 1, 2, 2]  # type: ignore[union-attr]
    assert report.infeasible == 0
    assert report.warnings == ("P of shape (2, 2, 2) was read as (state, action, successor)",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give exactly one of"),
        ({"tranMatProbs": [[[1.0]]]}, "give exactly one of"),
        ({"tranMatElementwise": [[0, 0, 0]]}, r"row 0 is \[0, 0, 0\]"),
        ({"tranMatElementwise": [[0, 0.5, 0, 1]]}, "row 0 is"),
        ({"tranMatElementwise": [[0, 1, 0, 1]]}, "s=0, a=1 has a transition and no reward"),
        ({"tranMatElementwise": [[0, 0, 4, 1]]}, "leads outside the states 0..0"),
        ({"tranMatElementwise": []}, "no successor|sums to"),
        ({"tranMatProbs": [[[1.0]]], "tranMatColumns": [[[0, 1]]]}, "1 probabilities for 2"),
    ],
)
def test_mdpsolver_refusals(arguments: dict[str, Any], message: str):
    with pytest.raises(InvalidModelError, match=message):
        from_mdpsolver(0.9, [[1.0]], **arguments)


def test_mdpsolver_example():
    """The example of its manual, whose answer was computed with it."""
    rewards = [[5, -1], [1, -2], [50, 0]]
    P = [
        [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]],
        [[0.4, 0.5, 0.1], [0.3, 0.5, 0.2]],
        [[0.2, 0.2, 0.6], [0.5, 0.5, 0.0]],
    ]
    solution = solvers.solve(from_mdpsolver(0.8, rewards, tranMatWithZeros=P), tol=1e-9)
    expected = [30.443225032706792, 40.288589203999756, 117.91746622379777]
    assert solution.value == pytest.approx(expected, abs=1e-4), "it stops early"
    assert solution.policy.action.tolist() == [1, 1, 0]  # type: ignore[union-attr]
