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
# # Robust offline reinforcement learning on linear models
#
# A policy is learnt from a fixed data set and will be used where the world is a little different.
# This tour describes such a model, computes the exact robust truth and the kernel that is worst,
# learns from data, and asks three questions: how far can the answer be trusted, what does theory
# promise, and when does the robustness parameter matter at all?

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

from mdplib import coverage, models
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.robust import NoEffectWarning, RobustDual, Robustness
from solvers.robust.beta import tv_constant
from solvers.robust.drpvi import drpvi
from solvers.robust.pevi import pevi
from solvers.robust.planning import robust_planning
from solvers.robust.r2pvi import r2pvi

# %% [markdown]
# ## A linear model
#
# Transitions are mixtures of d factors, `P(t | s, a) = sum_i phi_i(s, a) mu_i(t)`, with known
# features on the simplex and unknown factors. The benchmark has five states: three on the way, a
# fail state, and a goal that pays 1 per step. An action succeeds with probability `u`, which is
# between 0.1 and 0.5; success in the first step leads to the goal.

# %%
mdp = models.five_state(0.2)
print(mdp)
V, nominal = mdp.optimal()
u = mdp.features.phi[:16, -1]
rng = np.random.default_rng(0)  # the policies below are deterministic and do not use it


def first_u(policy):
    """Return the success probability that a policy chooses first."""
    return float(u[policy.act(0, rng)])


print("value at x1:", V[0, 0], " first-step u of the optimal policy:", first_u(nominal))

# %% [markdown]
# ## The inner problem
#
# An adversary replaces each factor `p` by `q`, pays `lambda D(q || p)`, and minimises the mean of
# the next value. For total variation, Kullback-Leibler and chi-square the problem is solved
# exactly; bounds are proven, rounding included, and every penalty has a radius with the same
# answer.

# %%
p, values = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 3.0])
for divergence in ("tv", "kl", "chi2"):
    dual = RobustDual(divergence, "penalty", 0.5)
    lower, upper = dual.bounds(p, values)
    law, radius = dual.minimiser(p, values).round(3), dual.to_radius(p, values)
    print(f"{divergence:5} {dual.value(p, values):.6f} in [{lower:.6f}, {upper:.6f}], "
          f"worst law {law}, radius {radius:.4f}")  # fmt: skip

# %% [markdown]
# ## Exact robust truth
#
# With the true factors the robust value is a backward induction. A penalty of 0.1 on every factor
# makes the value small, and yet the optimal policy stays the same, for all three divergences: the
# adversary harms every action alike. (KL and chi-square cannot change a deterministic factor at
# all; the library says so.)

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", NoEffectWarning)
    for divergence in ("tv", "kl", "chi2"):
        plan = robust_planning(mdp, Robustness(divergence, 0.1))
        print(f"{divergence:5} V* = {plan.value[0, 0]:.6f}, u = {first_u(plan.policy):.1f}")

# %% [markdown]
# It is different when only the factor that success depends on is uncertain: strengths have one
# entry per step and factor, and `inf` means certain. Then the robust policy gives up on success
# once the adversary is cheap enough, below `lambda = 1.2485`. The worst kernel is a model like any
# other.


# %%
def only_success(strength: float) -> Robustness:
    """Make the last factor of the first step robust, and nothing else."""
    table = np.full((mdp.horizon, mdp.dimension), np.inf)
    table[0, -1] = strength
    return Robustness("tv", table)


for strength in (2.0, 1.3, 1.2, 0.5):
    plan = robust_planning(mdp, only_success(strength))
    print(f"lambda = {strength}: V* = {plan.value[0, 0]:.4f}, u = {first_u(plan.policy):.1f}")
worst = plan.worst_model
assert isinstance(worst, LinearMDP)
print("the last plan's policy in its worst kernel:", worst.evaluate(plan.policy)[0, 0],
      "and in the nominal one:", mdp.evaluate(plan.policy)[0, 0])  # fmt: skip

# %% [markdown]
# ## Learning from data
#
# Uniform actions, 100 trajectories. PEVI is pessimistic about what the data do not show; R2PVI and
# DRPVI are robust as well. All policies are evaluated exactly in worlds where success fails with
# probability q: returns are affine in q, so two evaluations give the line.

# %%
data = LinearData.collect(mdp, mdp.uniform, 100, np.random.default_rng(1))
learnt = {
    "PEVI": pevi(data, beta=0.2, ridge=0.1),
    "R2PVI-TV, λ = 0.1 everywhere": r2pvi(data, Robustness("tv", 0.1), beta=0.2, ridge=0.1),
    "R2PVI-TV, λ = 0.5 on success alone": r2pvi(data, only_success(0.5), beta=0.2, ridge=0.1),
    "DRPVI, ρ = 0.5 everywhere": drpvi(data, Robustness("tv", 0.5, "ball"), beta=0.2, ridge=0.1),
}
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
styles = ("-", "--", "-.", ":")
for (name, found), style in zip(learnt.items(), styles, strict=True):
    ends = [models.five_state(0.2, q=q).evaluate(found.policy)[0, 0] for q in (0.0, 1.0)]
    axes.plot([0, 1], ends, style, label=name)
axes.set(xlabel="perturbation q", ylabel="return")
figure.legend(loc="outside right center", fontsize=8)
plt.show()

# %% [markdown]
# ## Certificate and theory
#
# On a random model: the smallest beta for which every estimate is within its width (it needs the
# truth), the beta of the theorem, and three promises on the suboptimality. Where the small beta is
# valid, the estimate is a lower bound on the policy's value and the certificate holds; no
# probability is involved any more. The theorem is right, and says nothing at this size.

# %%
world = models.random_simplex_mdp(rng=np.random.default_rng(8))
robustness = Robustness("tv", 1.0)
best = robust_planning(world, robustness)
law = world.initial
print("      K   needed beta   V*-Vhat     SubOpt   certificate   2 beta Phi   theorem (H = 4)")
for n in (100, 1600, 25_600):
    sample = LinearData.collect(world, world.uniform, n, np.random.default_rng(n))
    found = r2pvi(sample, robustness, beta=1.0)
    value = robust_planning(world, robustness, policy=found.policy).value
    dual = robustness.dual(0, 0)
    truth = np.stack([dual.value(m, W) for m, W in zip(world.mu, found.V[1:], strict=True)])
    needed = (np.abs(truth - found.w) / found.sigma).max()
    bad = np.stack([dual.minimiser(m, W) for m, W in zip(world.mu, found.V[1:], strict=True)])
    bonus = np.stack([found.bonus(h) for h in range(world.horizon)])
    promise = world.replace(mu=bad, reward=2 * bonus, theta=None).evaluate(best.policy)[0]
    balls = coverage.admissible_balls(world, robustness, best.value)
    phi = law @ coverage.bonus_sum(world, best.policy, found.sigma, balls).value[0]
    theory = 2 * tv_constant(n, world.dimension, world.horizon, 0.05) * phi
    gap, lost = law @ (best.value - found.V)[0], max(0.0, law @ (best.value - value)[0])
    print(f"{n:7} {needed:13.2f} {gap:9.4f} {lost:10.5f} {law @ promise:13.4f} {2 * phi:12.4f}"
          f" {theory:17.0f}")  # fmt: skip
    if needed <= 1.0:
        assert (found.V[0] <= value[0] + 1e-9).all()
        assert ((best.value - value)[0] <= promise + 1e-9).all()

# %% [markdown]
# ## When does lambda matter?
#
# The same two models of uncertainty, learnt from more and more data. With lambda = 0.1 everywhere
# the caution of KL and chi-square at 100 trajectories is pessimism: it goes with the data. With
# the success factor alone uncertain it is robustness: it stays.

# %%
sizes = (100, 1000, 10_000)
cases = {
    "KL, λ = 0.1 everywhere": Robustness("kl", 0.1),
    "χ², λ = 0.1 everywhere": Robustness("chi2", 0.1),
    "TV, λ = 0.5 on success alone": only_success(0.5),
    "TV, λ = 2 on success alone": only_success(2.0),
}
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
markers = ("o", "s", "^", "D")
for (name, robustness), marker in zip(cases.items(), markers, strict=True):
    means = []
    for n in sizes:
        first = []
        for seed in range(10):
            sample = LinearData.collect(mdp, mdp.uniform, n, np.random.default_rng([seed, n]))
            found = r2pvi(sample, robustness, beta=1.0, ridge=0.1)
            first.append(first_u(found.policy))
        means.append(np.mean(first))
    axes.plot(sizes, means, marker=marker, label=name)
axes.set(xscale="log", xlabel="trajectories", ylabel="mean first-step u", ylim=(0, 0.6))
figure.legend(loc="outside right center", fontsize=8)
plt.show()

# %% [markdown]
# `mdplib reproduce r2pvi` goes on from here: the published figures as the method is written and as
# the released code computes them, and what is and is not reproduced.
