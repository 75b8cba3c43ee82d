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
# # Dynamical linear bandits
#
# An advertiser splits a budget every day. Sales of a day depend on that day's split, and on a
# hidden state that remembers the splits before. Which constant split is best in the long run, and
# how much is lost while finding out?

# %%
import matplotlib.pyplot as plt
import numpy as np

from bounds import check_entry
from bounds.catalogue import CATALOGUE
from bounds.dynamical_bandits import synthetic
from bounds.mussi2023 import best_total
from bounds.mussi2023_learners import bias_sums, n_epochs
from bounds.mussi2023_lower import guessing_bound, losses, simple_bound
from mdplib import models
from solvers import bandits

# %% [markdown]
# ## A system, and what a constant arm earns
#
# $x_{t+1} = A x_t + B u_t + \varepsilon_t$ is hidden; $y_t = \langle\omega, x_t\rangle +
# \langle\theta, u_t\rangle + \eta_t$ is seen. In the long run arm $u$ earns $\langle h, u\rangle$ a
# round, with $h = \theta + B'(I - A')^{-1}\omega$. An arm that looks best today need not be.

# %%
bandit = models.dlb_synthetic(0.01)
arms = bandit.actions.arms
print("h =", bandit.markov_parameter)
for u, today, long_run in zip(arms, arms @ bandit.theta, bandit.steady_reward(arms), strict=True):
    print(u, f"today {today:.3f}   in the long run {long_run:.4f}")
print("spectral radius", bandit.spectral_radius, "  growth of powers", bandit.phi(0.2))

# %% [markdown]
# No policy, however adaptive, beats the best constant arm by more than a constant: the best of all
# policies can be computed exactly, since rewards are linear in the arms.

# %%
plain = synthetic(0.01)
for T in (1, 10, 100, 1000):
    gain = best_total(plain, T, np.zeros(3)) - T * plain.J.max()
    print(f"T = {T:5d}: best policy minus T J* = {gain:+.4f}")

# %% [markdown]
# ## Everybody plays, with the same noise
#
# One compiled driver runs many seeds of many algorithms at once. Noise is a function of (seed,
# round), so every algorithm meets the same.

# %%
T = 20_000
crowd = {
    "DynLin-UCB, published radius": bandits.DynLinUCB("paper", "log_T"),
    "DynLin-UCB, certified radius": bandits.DynLinUCB("certified"),
    "RS-DynLin": bandits.RSDynLin(),
    "LinUCB": bandits.LinUCB("noise", "log_T"),
    "Exp3": bandits.Exp3(),
}
runs = bandits.run(bandit, crowd, T, seeds=10)
print(runs)

# %%
figure, axes = plt.subplots(figsize=(6, 3.5))
for name, found in runs.items():
    axes.plot(runs.checkpoints, found.mean, label=name)
axes.set_xscale("log")
axes.set_yscale("log")
axes.set_xlim(left=100)
axes.set_ylim(bottom=5)
axes.set_xlabel("rounds")
axes.set_ylabel("mean regret of 10 seeds")
_ = axes.legend(frameon=False)

# %% [markdown]
# ## A confidence set that must allow for what is still in the state
#
# Optimism rests on a set that contains $h$. A learner that keeps one reward per epoch bounds what
# earlier arms left in it; RS-DynLin uses every reward, and pays only where the arm changes. LinUCB
# ignores the state, and its set is left in every run.

# %%
for name, found in runs.items():
    if found.has_set:
        print(f"{name:30s} share of runs with all sets right: {found.coverage()}")

# %% [markdown]
# While the sets hold, a learner can say at any time how much it has lost at most.

# %%
found = runs["RS-DynLin"]
print("regret", found.final.round(1))
print("certificate", found.certificate[:, -1].round(1))

# %% [markdown]
# ## The published schedule rounds down, and one logarithm is too small
#
# Epoch $m$ holds its arm $1 + H_m$ rounds, and what is left of the past fades to $\rho^{H_m}$. The
# published radius allows for $\log(e(t+1))$ in all. Rounded up that is enough; rounded down it is
# not.

# %%
rho, M = 0.2, 100_000
for rounding in ("floor", "ceil"):
    print(f"{rounding:5s}: sum of the remainders {bias_sums(M, rho, rounding)[0]:.1f}")
print(f"log(e (t + 1)) = {1 + np.log(1 + 10 * M):.1f} at the most; epochs in a million rounds:",
      n_epochs(10**6, rho, "floor"))  # fmt: skip

# %% [markdown]
# The checker of theorems finds a system on which the published set is left by arms played in turn
# (the role "mutant"), and cannot break the same set with the schedule rounded up.

# %%
for name in ("mussi2023:published_set", "mussi2023:poisson_regret"):
    for verdict in check_entry(CATALOGUE[name])[:3]:
        print(verdict)

# %% [markdown]
# ## What nobody can avoid
#
# On a family of systems whose signs $T$ rounds hardly reveal, every learner loses at least this
# much on average; the last line is a learner that loses no more.

# %%
d, rho, sigma, T = 1, 0.8, 0.1, 300
print("by a divergence      ", simple_bound(d, rho, sigma, T))
print("by guessing the sign ", guessing_bound(d, rho, sigma, T))
played = losses("sign", d, rho, sigma, T, np.random.default_rng(0), 20_000)
print("playing the sign     ", played.mean())
