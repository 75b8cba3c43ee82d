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
# # Quick start
#
# A problem, a certified solution, a theorem, a figure: the four things this library is for, in
# that order.

# %%
import matplotlib.pyplot as plt
import numpy as np

import bounds
import mdplib
import solvers
from mdplib import certificates, models, operators, sampling

print("mdplib", mdplib.__version__, "| numpy", np.__version__)

# %% [markdown]
# ## A problem
#
# A model is a set of ragged state-action rows: states may have different actions. It can be built
# from arrays, from dictionaries, from a function, from other libraries' layouts, or read from
# Gymnasium.

# %%
small = mdplib.TabularMDP.from_dict(
    {
        "healthy": {0: [(0.9, "healthy", 1.0), (0.1, "worn", 1.0)]},
        "worn": {
            0: [(0.6, "worn", 0.7), (0.4, "broken", 0.0)],
            1: [(1.0, "healthy", -0.5)],
        },
        "broken": {1: [(1.0, "healthy", -3.0)]},
    },
    gamma=0.95,
    initial=[1.0, 0.0, 0.0],
    action_labels=["operate", "repair"],
)
small

# %% [markdown]
# ## A certified solution
#
# Every solver returns proven bounds: `lower <= V* <= upper`, rounding errors included, and a
# policy whose own value lies between them. The tolerance is on that gap, not on an increment.

# %%
solution = solvers.solve(small, tol=1e-9)
solution

# %% [markdown]
# The exact method reads the floats as the rational numbers they are and returns the optimal value
# as a fraction. It lies inside every bracket.

# %%
exact = solvers.solve(small, "exact")
for label, low, x, high in zip(
    small.state_labels, solution.lower, exact.exact, solution.upper, strict=True
):
    assert low <= x <= high
    print(f"{label:<8} {low:.12f} <= {float(x):.12f} <= {high:.12f}")

# %% [markdown]
# The same holds for any vector, however it was found: `certificates.bracket` needs one sweep.

# %%
guess = np.array([12.0, 10.0, 8.0])
found = certificates.bracket(small, guess)
print("gap proven by a guess:", found.gap)

# %% [markdown]
# ## A theorem, asked about this instance
#
# A theorem is an object with hypotheses and two sides. Its verdict says whether it holds here, how
# tight it is, or which hypothesis fails: the guess is further than 5 from the optimal value.

# %%
instance = bounds.Instance.from_mdp(small, {"V": guess, "eps": 5.0})
for name in ("macqueen1966:bracket", "williams1993:residual_loss", "singh1994:greedy_loss"):
    print(bounds.catalogue.CATALOGUE[name].theorem.check(instance, solver=solvers.solve))

# %% [markdown]
# ## A problem from Gymnasium
#
# The transition table of the real environment is read through the real package; transitions that
# terminate lead to one absorbing state.

# %%
lake = mdplib.io.from_gymnasium("FrozenLake8x8-v1", gamma=0.99)
lake_solution = solvers.solve(lake, tol=1e-9)
print(lake)
print("value at the start:", lake_solution.initial)

# %% [markdown]
# ## What certification buys
#
# The usual stopping rule bounds the error by the norm of the last change, and needs many sweeps.
# The bracket of the *same* sweep is narrower by orders of magnitude.

# %%
garnet = models.garnet(200, 4, 5, sampling.streams(0, "quickstart").instance, gamma=0.99)
V = np.zeros(garnet.n_states)
norm_bound, gap = [], []
for _ in range(40):
    TV = operators.bellman(garnet, V)
    norm_bound.append(2 * garnet.gamma / (1 - garnet.gamma) * np.max(np.abs(TV - V)))
    gap.append(certificates.bracket(garnet, V).gap)
    V = TV

figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.semilogy(norm_bound, label="norm of the change")
axes.semilogy(gap, label="certified gap")
axes.set(xlabel="sweeps", ylabel="proven error", title="Garnet, 200 states, gamma = 0.99")
axes.legend()
plt.show()
