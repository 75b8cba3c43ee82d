# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Certified planning
#
# Every answer of this library is an interval that provably contains the truth. This tour shows
# what that is worth: on a model that hardly mixes, on a model where the usual stopping rule is
# wrong, for exact fractions, for long-run averages, and for a file from elsewhere.

# %%
import tempfile
from fractions import Fraction
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import bounds
import mdplib
import solvers
from mdplib import certificates, graphs, models, sampling

# %% [markdown]
# ## A bracket instead of a hope
#
# A solution carries `lower` and `upper`, proven for the model as stored, rounding included. The
# value of the returned policy lies between them as well. The tolerance is on their distance.

# %%
inventory = models.inventory(gamma=0.99)
solution = solvers.solve(inventory, tol=1e-6)
solution

# %%
own = certificates.bracket_policy(inventory, solution.policy)
print("gap", solution.gap)
print("the policy itself, proven separately, lies in the bracket up to both gaps:")
print(float((own.lower - solution.upper).max()), "<= 0 <=",
      float((own.upper - solution.lower).min()))  # fmt: skip

# %% [markdown]
# ## A model that hardly mixes, and what `auto` makes of it
#
# Ten blocks of states, each of which mixes fast, leak into each other once in a thousand steps.
# Sweeps need to wait for the leaks; a linear solve does not. The log says what was decided, and
# why.

# %%
blocks = models.decomposable(
    10, 200, 4, 5, sampling.streams(0, "certified").instance, gamma=0.999, coupling=1e-3
)
for method in ("value_iteration", "anderson", "auto"):
    found = solvers.solve(blocks, method, tol=1e-3)
    print(f"{method:<16} {found.status.name:<8} {found.stats.iterations:>6} iterations")
    for sentence in found.stats.log:
        print("   ", sentence)

# %% [markdown]
# ## Reachability: where the usual stopping rule is wrong
#
# A walk starts in the middle of a corridor. One side ends in the goal, the other in a trap; at
# every place it advances with probability 1/2 and is thrown back to the middle otherwise. By
# symmetry the goal is reached with probability 1/2.


# %%
def corridor(n: int) -> mdplib.LabelledMDP:
    """Return the walk with n places on each side; the goal is the last state."""
    rows = [{0: 1.0}]
    rows += [{i - 1: 0.5, n: 0.5} for i in range(1, n)]
    rows += [{n - 1: 0.5, n + 1: 0.5}]
    rows += [{n: 0.5, i + 1: 0.5} for i in range(n + 1, 2 * n)]
    rows += [{2 * n: 1.0}]
    return mdplib.LabelledMDP(
        np.arange(2 * n + 2),
        np.cumsum([0, *map(len, rows)]),
        [t for row in rows for t in row],
        [p for row in rows for p in row.values()],
        np.zeros(2 * n + 1, dtype=int),
        labels={"goal": [2 * n]},
        initial=np.eye(2 * n + 1)[n],
    )


# %% [markdown]
# Value iteration from 0 is stopped, as usual, when no entry changes by more than `1e-6`. The
# answer is wrong in the first digit, and nothing shows it.

# %%
n = 20
walk = corridor(n)
chain = walk.reach("goal")


def naive(problem: mdplib.UndiscountedMDP, epsilon: float) -> tuple[float, int]:
    """Iterate from 0 until the change is below epsilon; return the start's value and the sweeps."""
    P = np.zeros((problem.n_states, problem.n_states))
    rows = np.repeat(np.arange(problem.n_pairs), np.diff(problem.indptr))
    P[rows, problem.indices] = problem.data
    V, sweeps, change = problem.target.astype(float), 0, 1.0
    while change > epsilon:
        W = np.where(problem.target, 1.0, P @ V)
        V, sweeps, change = W, sweeps + 1, np.abs(W - V).max()
    return float(V[n]), sweeps


value, sweeps = naive(chain, 1e-6)
certified = solvers.solve(chain, tol=1e-6)
print(f"stopped by the change: {value:.6f} after {sweeps} sweeps")
print("certified:            ", certified.initial)

# %% [markdown]
# The figure repeats this for longer and longer corridors: the naive value falls to zero, the
# bracket stays where the truth is.

# %%
lengths = range(4, 25, 2)
naive_values, lower, upper = [], [], []
for n in lengths:
    problem = corridor(n).reach("goal")
    naive_values.append(naive(problem, 1e-6)[0])
    low, high = solvers.solve(problem, tol=1e-6).initial
    lower.append(low)
    upper.append(high)

figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(lengths, naive_values, "o-", label="stopped by the change")
axes.fill_between(lengths, np.array(lower) - 0.004, np.array(upper) + 0.004, alpha=0.4,
                  label="certified bracket (drawn thicker)")  # fmt: skip
axes.axhline(0.5, color="black", linewidth=0.8, label="truth")
axes.set(xlabel="places on each side", ylabel="probability of the goal")
axes.legend()
plt.show()

# %% [markdown]
# ## End components
#
# Worse than slow: if a policy may stay for ever in a set of states, 1 is a fixed point of the
# backup too, and an iteration from above never comes down. The graph tells; the solvers collapse
# such sets first. `park1969:induction` is why a candidate from above can be trusted nevertheless.

# %%
loop = mdplib.LabelledMDP(
    [0, 2, 3, 4], [0, 1, 3, 4, 5], [0, 1, 2, 1, 2], [1.0, 0.25, 0.75, 1.0, 1.0], [0, 1, 0, 0],
    labels={"goal": [1]},
).reach("goal")  # fmt: skip
label, inside = graphs.maximal_end_components(loop)
print("component of each state:", label.tolist())
stayed = solvers.solve(loop, tol=1e-9)
print("bracket:", stayed.lower[0], stayed.upper[0])
verdict = bounds.catalogue.CATALOGUE["park1969:induction"]
print(verdict.theorem.check(verdict.tight()))

# %% [markdown]
# ## Exact fractions
#
# Where doubles end, rational numbers go on. The probabilities of a model file may be rationals that
# no double holds, such as 1/3; bounds hold for them, and the exact method computes with them.

# %%
third = mdplib.LabelledMDP(
    [0, 1, 2, 3],
    [0, 3, 4, 5],
    [0, 1, 2, 1, 2],
    [1 / 3, 1 / 3, 1 / 3, 1.0, 1.0],
    [0, 0, 0],
    labels={"goal": [1]},
    rational=[Fraction(1, 3)] * 3 + [Fraction(1)] * 2,
).reach("goal")
exact = solvers.solve(third, "exact")
approximate = solvers.solve(third, tol=1e-9)
print("exactly", exact.exact[0])
assert Fraction(approximate.lower[0]) <= exact.exact[0] <= Fraction(approximate.upper[0])

# %% [markdown]
# ## The long-run average
#
# A queue with controlled service, and the question what it costs per step in the long run. The
# bracket is that of Odoni, `odoni1969:gain_bracket`, evaluated in each end component. Sweeps alone
# need nearly twenty thousand; the log tells when linear solves took over.

# %%
queue = models.queue(2000)
control = mdplib.UndiscountedMDP(
    queue.state_ptr,
    queue.indptr,
    queue.indices,
    queue.data,
    queue.action_id,
    "average_reward",
    reward=queue.reward,
)
average = solvers.solve(control, tol=1e-6)
print("gain between", average.lower[0], "and", average.upper[0])
for sentence in average.stats.log:
    print("   ", sentence)

# %% [markdown]
# ## To a file and back
#
# UMB is a binary format for models that several probabilistic model checkers share. What is
# written and read again is the same model, and has the same solution.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "walk.umb"
    mdplib.write(walk, path)
    again = mdplib.read(path)
    print(path.name, path.stat().st_size, "bytes:", again)
assert isinstance(again, mdplib.LabelledMDP)
same = solvers.solve(again.reach("goal"), tol=1e-6)
print("same bracket:", same.initial == certified.initial)
