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
# # Groups of actions
#
# A base station chooses among many powers, a shop among many prices. Most of them are alike, and
# learning about each of them is a waste. Choosing among *groups* needs fewer samples, and loses
# what the best action has over its fellows. How many groups are best, and how should they be made?

# %%
import matplotlib.pyplot as plt
import numpy as np

import solvers
from bounds import check_entry
from bounds.catalogue import CATALOGUE
from mdplib import grouping, models, operators
from mdplib.grouping import Grouping, loss
from solvers import grouping as learning

# %% [markdown]
# ## The lifted model
#
# 64 actions are the leaves of a tree; near leaves have similar kernels and rewards. A group is
# chosen, and an action within it at random: again a decision process, with groups as its actions.

# %%
mdp = models.tree_mdp(np.random.default_rng(0))
eight = Grouping.tree(3, 6)
lifted = grouping.lift(mdp, eight)
print(mdp, lifted, sep="\n")

# %% [markdown]
# Its values are exactly those of the composed policy in the original model: two evaluations, on
# different models, agree.

# %%
best = solvers.solve(lifted)
rng = np.random.default_rng(0)
learnt = learning.grouped_q_iteration(mdp, eight, 10_000, rng)
print("value of the learnt policy over groups:", operators.evaluate_policy(mdp, learnt.policy))
print("best over these groups:               ", best.value)

# %% [markdown]
# ## What grouping costs at most
#
# Write kernels and rewards of a group as a common part and an own part. The smallest weights of the
# own parts, $\beta_P$ and $\beta_r$, have closed forms, and the loss is at most
# $\frac{\beta_r + \gamma\beta_P/(1-\gamma)}{1 - \gamma(1-\beta_P)}$, which some model attains.

# %%
V = solvers.solve(mdp).value
print(" m  beta_P  beta_r   loss   bound")
for level in range(7):
    groups = Grouping.tree(level, 6)
    weights = grouping.betas(mdp, groups)
    best = solvers.solve(grouping.lift(mdp, groups))
    bound = loss.approximation_bound(weights.max_P, weights.max_r, mdp.gamma)
    lost = (V - best.value).max()
    print(
        f"{groups.n_groups:2d}  {weights.max_P:.3f}   {weights.max_r:.3f}   {lost:.3f}  {bound:.2f}"
    )

# %% [markdown]
# The theorem, asked about random models, its tight instance, and a false version of itself:

# %%
for verdict in check_entry(CATALOGUE["li2024:approximation"]):
    print(verdict)

# %% [markdown]
# ## Neither too few nor too many
#
# With a budget of samples in all, groups share it: few groups are learnt well but cannot express
# the best policy, many groups are learnt badly. The loss has a minimum in between, and it moves to
# more groups as the budget grows.

# %%
figure, axes = plt.subplots(figsize=(6, 3.5))
sizes = [2**level for level in range(7)]
for budget in (1536, 6144, 24_576):
    mean = []
    for level, m in enumerate(sizes):
        groups = Grouping.tree(level, 6)
        seen = grouping.draw(mdp, groups, budget // (6 * m), rng, repetitions=60)
        policy = learning.plan(*seen.model(), mdp.gamma, rng=rng).policy
        above = grouping.dense_rows(grouping.lift(mdp, groups))
        mean.append((V - learning.evaluate(*above, policy, mdp.gamma)).max(axis=1).mean())
    axes.plot(sizes, mean, marker="o", label=f"N = {budget}")
axes.set_xscale("log", base=2)
axes.set_xlabel("groups")
axes.set_ylabel("mean loss of 60 learners")
axes.legend()
plt.show()

# %% [markdown]
# ## Which actions belong together?
#
# Grouping by similarity protects all actions alike. What counts is that every state has *some* good
# group: a few good actions kept apart, the others in one bag.

# %%
small = models.garnet(3, 7, 2, np.random.default_rng(3), 0.9)
apart = grouping.kernel_distance(small, 9.0)
print(" m  linkage  value-aware  best of all 877   one action for each")
best = learning.best_groupings(small).loss
for m in range(2, 7):
    linked = learning.grouping_losses(small, learning.complete_linkage(apart, m).of)[0]
    aware = learning.value_aware_grouping(small, m)[1]
    alone = learning.representatives(small, m)[2]
    print(f"{m:2d}   {linked:.3f}     {aware:.3f}        {best[m - 1]:.3f}             {alone:.3f}")

# %% [markdown]
# ## Groups found while learning, with a proof
#
# A pilot estimates values of single actions; groups are refined as long as the *proven* lower bound
# on the value of the learnt policy, from fresh samples, rises.

# %%
refined = learning.certified_refinement(mdp, 3_000_000, np.random.default_rng(1))
print("levels tried (groups, proven mean value):", refined.levels)
print("proven:", refined.floor.round(2))
print("true:  ", operators.evaluate_policy(mdp, refined.policy).round(2))
