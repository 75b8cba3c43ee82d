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
# # Coupled restless bandits
#
# Twenty patients drift between four states of health whether or not anyone visits them. Five
# workers can visit, each with limited room. Which patients should be visited together today, if
# what counts is the health of all of them over twenty days?

# %%
import matplotlib.pyplot as plt
import numpy as np

from mdplib import restless
from mdplib.restless import simulate
from mdplib.restless.gap import certified_gap
from solvers.restless import (
    Settings,
    evaluate_joint,
    fluid_bound,
    fluid_policy,
    joint_value_iteration,
    myopic_policy,
    random_policy,
    sequoia,
)
from solvers.restless.joint import initial_law

# %% [markdown]
# ## Arms, and a set of actions
#
# Each arm is a small decision process that moves on its own. What ties the arms together is the set
# of actions: here the arms that can be packed into the workers' capacities.

# %%
bandit = restless.capacity(20, 5, np.random.default_rng(6))
actions = bandit.actions.enumerate()
print(bandit)
print(f"{4**20:.1e} joint states, {len(actions)} actions")
print("feasible?", bandit.actions.contains(actions[-1]), bandit.actions.contains(np.ones(20)))

# %% [markdown]
# The first five arms pay best at the top, but pay less and less on the way up. Whoever looks one
# step ahead does not climb it.

# %%
pulled, idle = bandit.arms.r[:, 1], bandit.arms.r[:, 0]
print("gain of a pull today, first arm:", np.round(pulled[0] - idle[0], 3))
print("gain of a pull today, last arm: ", np.round(pulled[-1] - idle[-1], 3))

# %% [markdown]
# ## What could at most be had
#
# If arms were divisible, the problem would be one linear program. Its prices give two things: a
# bound that no policy can pass, and a policy that looks ahead.

# %%
bound = fluid_bound(bandit)
policies = {
    "random": random_policy(bandit, np.random.default_rng(1)),
    "myopic, optimal": myopic_policy(bandit),
    "fluid prices": fluid_policy(bandit, bound),
}
rewards = {
    name: simulate(bandit, policy, 100, np.random.default_rng(2), check=True).sum(axis=1)
    for name, policy in policies.items()
}
for name, found in rewards.items():
    error = found.std(ddof=1) / 10
    print(f"{name:16s} {found.mean():6.1f} ± {2 * error:3.1f}, {found.mean() / bound.upper:.1%}")
print(f"{'upper bound':16s} {bound.upper:6.1f}")

# %% [markdown]
# All policies met the same random numbers, so differences are paired. And each has a certificate:
# it is at most so far from the best policy there is, up to the confidence of the simulation.

# %%
for name, found in rewards.items():
    nominal = certified_gap(found, bound.upper, method="student")
    proven = certified_gap(found, bound.upper)  # valid for any rewards; needs more episodes
    print(f"{name:16s} loses at most {nominal.gap:.1%} (Student), {proven.gap:.1%} (betting)")

# %% [markdown]
# ## Learning
#
# SEQUOIA learns Q with a network whose best action is found exactly: among the listed actions, or
# by a mixed-integer program. It begins as the fluid-priced policy, and returns a trained network
# only if that has earned more in fresh episodes.

# %%
quick = Settings(episodes=6, validate_every=2, validation=50, trial=50)
trained = sequoia(bandit, np.random.default_rng(3), quick)
for episodes, reward in trained.validation:
    print(f"after {episodes} episodes {reward:.1f}")
rewards["SEQUOIA"] = simulate(bandit, trained.policy, 100, np.random.default_rng(2)).sum(axis=1)

# %%
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
names = list(rewards)
shares = [rewards[name] / bound.upper for name in names]
axes.boxplot(shares, orientation="horizontal", showfliers=False)
axes.set_yticks(range(1, len(names) + 1), names)
axes.axvline(1.0, color="black", lw=0.8)
axes.set_xlabel("reward of an episode / upper bound")
_ = axes.invert_yaxis()

# %%
difference = rewards["SEQUOIA"] - rewards["myopic, optimal"]
print(f"SEQUOIA - myopic {difference.mean():.1f} ± {2 * difference.std(ddof=1) / 10:.1f}")
difference = rewards["SEQUOIA"] - rewards["fluid prices"]
print(f"SEQUOIA - fluid prices {difference.mean():.2f} ± {2 * difference.std(ddof=1) / 10:.2f}")

# %% [markdown]
# ## The truth, where it can be computed
#
# With five arms all 1024 joint states can be gone through. Values are exact, and so are those of
# every policy.

# %%
five = restless.capacity(5, 2, np.random.default_rng(4))
best = joint_value_iteration(five)
law = initial_law(five)
nothing = law @ evaluate_joint(five, lambda h, s: np.zeros((len(s), 5), dtype=np.int8))[0]
tried = {
    "myopic, optimal": myopic_policy(five),
    "fluid prices": fluid_policy(five),
    "SEQUOIA": sequoia(five, np.random.default_rng(5), quick).policy,
}
for name, policy in tried.items():
    value = law @ evaluate_joint(five, policy)[0]
    share = (value - nothing) / (best.initial - nothing)
    print(f"{name:16s} {value:6.2f}, {share:.1%} of the optimum above doing nothing")
print(f"optimum {best.initial:.2f}, upper bound {fluid_bound(five).upper:.2f}")

# %% [markdown]
# ## Your own set of actions
#
# Any PuLP model with named columns can be the set. Here at most three arms, and no two neighbours.

# %%
import pulp

model = pulp.LpProblem()
take = [model.add_variable(f"a{j}", cat="Binary") for j in range(8)]
model += pulp.lpSum(take) <= 3
for j in range(7):
    model += take[j] + take[j + 1] <= 1
apart = restless.PulpActions.from_pulp(model, [f"a{j}" for j in range(8)])
arms = restless.budget(8, 3, np.random.default_rng(6))
mine = restless.CoupledRestlessBandit(arms.arms, apart, arms.initial, arms.horizon, arms.gamma)
upper = fluid_bound(mine).upper
reward = simulate(mine, fluid_policy(mine), 20, np.random.default_rng(7), check=True).sum(axis=1)
print(f"{reward.mean():.1f} of at most {upper:.1f}")
