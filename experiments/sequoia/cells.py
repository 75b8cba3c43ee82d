"""What is varied: domain, size, policy, how a learner is set up, replicate.

Each family of cells has its own class; `run` picks the computation by the class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from experiments.engine.cells import SCALES, Scale

Domain = Literal["capacity", "schedule", "walks", "interventions", "budget"]
FOUR: tuple[Domain, ...] = get_args(Domain)[:-1]  # "budget" is the control: no coupling but one
PULLED: tuple[Domain, ...] = ("capacity", "schedule", "walks")  # arms are pulled or not
Policy = Literal["null", "random", "sampling", "myopic", "iterative", "whittle", "fluid"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
Variant = Literal[
    "default",
    "published",
    "published_programs",
    "raw",
    "no_base",
    "raw_no_base",
    "hidden_8",
    "hidden_16_32",
    "hidden_64_64",
]
NEAR = ("whittle", "fluid", "default")  # near the bound
FEATURES: tuple[Variant, ...] = ("raw", "no_base", "raw_no_base")
WIDTHS: tuple[Variant, ...] = ("hidden_8", "hidden_16_32", "hidden_64_64")
SMALL_LEARNERS: tuple[Variant, ...] = ("default", "published")


@dataclass(frozen=True)
class Size:
    """How large an instance is.

    Parameters
    ----------
    n_arms : int
        J. Walks live on the underground map of 20, 40, ... stations.
    budget : int
        B: workers, pulls, or interventions taken.
    """

    n_arms: int
    budget: int


@dataclass(frozen=True)
class Bounded:
    """Upper bounds on the value of every policy on one instance.

    Parameters
    ----------
    domain : str
        Kind of coupling.
    n_arms, budget : int
        J and B.
    replicate : int
        Number of the instance.
    """

    domain: Domain
    n_arms: int
    budget: int
    replicate: int


@dataclass(frozen=True)
class Played:
    """Episodes of a policy that learns nothing.

    Parameters
    ----------
    domain, n_arms, budget, replicate
        The instance, as in `Bounded`.
    policy : str
        Who plays.
    episodes : int
        How many episodes; number i meets the same random numbers whoever plays.
    """

    domain: Domain
    n_arms: int
    budget: int
    policy: Policy
    episodes: int
    replicate: int


@dataclass(frozen=True)
class Trained:
    """A learner trained on one instance, and episodes of what it learnt.

    Parameters
    ----------
    domain, n_arms, budget, episodes, replicate
        As in `Played`.
    variant : str
        How the learner is set up, see `experiments.sequoia.variants`.
    training : int
        Training episodes.
    """

    domain: Domain
    n_arms: int
    budget: int
    variant: Variant
    training: int
    episodes: int
    replicate: int


@dataclass(frozen=True)
class Small:
    """Exact values on an instance of five arms.

    Parameters
    ----------
    domain, replicate
        As in `Bounded`.
    learner : str
        A variant, or "none" for the optimum, the bound and all policies that learn nothing.
    training : int
        Training episodes of the learner.
    """

    domain: Domain
    learner: Literal["none", "default", "published"]
    training: int
    replicate: int


Cell = Bounded | Played | Trained | Small


@dataclass(frozen=True)
class Learning:
    """Learners that are trained alike.

    Parameters
    ----------
    variants, domains : tuple of str
        Which, and where.
    training, replicates : int
        Training episodes, and number of instances.
    """

    variants: tuple[Variant, ...]
    domains: tuple[Domain, ...]
    training: int
    replicates: int


@dataclass(frozen=True)
class Plan:
    """What is done at one size.

    Parameters
    ----------
    size : dict of str to Size
        By domain.
    replicates : int
        Instances on which everybody without learning plays.
    episodes : int
        Played on each.
    longer : int
        Factor by which those near the bound play more, for a close certificate.
    learning : tuple of Learning
        Who learns.
    """

    size: dict[Domain, Size]
    replicates: int
    episodes: int
    longer: int
    learning: tuple[Learning, ...]


def _sizes(n_arms: int, budget: int, domains: tuple[Domain, ...] = FOUR) -> dict[Domain, Size]:
    return dict.fromkeys(domains, Size(n_arms, budget))


TINY: dict[Domain, Size] = {
    "capacity": Size(6, 2), "schedule": Size(6, 2), "walks": Size(20, 2),
    "interventions": Size(12, 3), "budget": Size(6, 2),
}  # fmt: skip
TRIED: tuple[Variant, ...] = (*FEATURES, *WIDTHS)
PLANS: dict[Scale, tuple[Plan, ...]] = {
    "smoke": (Plan(TINY, 2, 20, 1, (Learning(("default",), FOUR, 2, 2),)),),
    "default": (
        Plan(
            _sizes(20, 5, get_args(Domain)), 10, 100, 4,
            (
                Learning(("default",), PULLED, 15, 5),
                Learning(("default",), ("interventions",), 15, 10),
                Learning(("published",), FOUR, 10, 1),
                Learning(TRIED, ("interventions",), 15, 3),
            ),
        ),
        Plan(_sizes(40, 10), 5, 20, 8, (Learning(("default",), FOUR, 1, 5),)),
    ),
    "paper": (
        Plan(
            _sizes(20, 5, get_args(Domain)), 10, 100, 10,
            (
                Learning(("default", "published"), FOUR, 100, 10),
                Learning(("published_programs",), FOUR, 100, 1),
                Learning(TRIED, FOUR, 100, 5),
            ),
        ),
        Plan(_sizes(40, 10), 10, 50, 2, (Learning(("default",), FOUR, 10, 3),)),
        Plan(_sizes(100, 20), 10, 20, 1, ()),
    ),
}  # fmt: skip
# Exact instances: replicates of the default learner and of the published one, training episodes.
SMALL: dict[Scale, tuple[int, int, int]] = {
    "smoke": (1, 0, 2),
    "default": (5, 1, 10),
    "paper": (20, 10, 40),
}
PUBLISHED_TRAINING = 100


def cells(scale: Scale) -> Iterator[Cell]:
    """Yield the cells of a scale, and then those of smaller scales."""
    seen: set[Cell] = set()
    for each in SCALES[SCALES.index(scale) :: -1]:
        fresh = [cell for cell in _own(each) if cell not in seen]
        seen.update(fresh)
        yield from fresh


def _own(scale: Scale) -> Iterator[Cell]:
    first, *others = PLANS[scale]
    yield from _others(first)
    yield from _learners(first)
    replicates, published, training = SMALL[scale]
    for replicate in range(replicates):
        for domain in FOUR:
            if replicate < published:
                yield Small(domain, "published", PUBLISHED_TRAINING, replicate)
            yield Small(domain, "default", training, replicate)
            yield Small(domain, "none", 0, replicate)
    for plan in others:
        yield from _others(plan)
        yield from _learners(plan)


def _learners(plan: Plan) -> Iterator[Trained]:
    for each in plan.learning:
        for replicate in range(each.replicates):
            for domain in each.domains:
                size = plan.size[domain]
                for variant in each.variants:
                    yield Trained(
                        domain, size.n_arms, size.budget, variant, each.training,
                        _episodes(plan, variant), replicate,
                    )  # fmt: skip


def _others(plan: Plan) -> Iterator[Bounded | Played]:
    for replicate in range(plan.replicates):
        for domain, size in plan.size.items():
            yield Bounded(domain, size.n_arms, size.budget, replicate)
            for policy in POLICIES:
                if policy == "whittle" and domain == "interventions":
                    continue  # arms of several levels have no index
                yield Played(
                    domain, size.n_arms, size.budget, policy, _episodes(plan, policy), replicate
                )


def _episodes(plan: Plan, who: str) -> int:
    return plan.episodes * (plan.longer if who in NEAR else 1)
