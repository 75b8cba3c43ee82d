"""``mdplib solve``: bounds and a policy for a model from Gymnasium or from a file."""

from __future__ import annotations

import json
from argparse import Namespace
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import mdplib
from experiments.engine.cells import plain
from mdplib import models
from mdplib.errors import InvalidModelError, MdplibError, MissingExtraError
from mdplib.labelled import LabelledMDP
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP
from solvers import solve

GAMMA = 0.99
SHOWN = 20  # states whose action is printed
DIGITS = 100  # of a fraction that is printed
FILES = (".npz", ".umb", ".drn", ".json", ".csv", ".prism", ".nm", ".jani")

Model = TabularMDP | LabelledMDP | UndiscountedMDP
Problem = TabularMDP | UndiscountedMDP


def run(options: Namespace) -> int:
    """Solve and print; exit code 1 if the tolerance was not proven to be met."""
    if not options.tol >= 0:
        raise InvalidModelError(f"--tol {options.tol}: need a number of at least 0")
    problem = ask(load(options.model, options.gamma, options.horizon), options)
    solution = solve(
        problem,
        options.method,
        tol=options.tol,
        rtol=options.rtol,
        time_limit=options.time_limit,
    )
    print(
        json.dumps(as_json(problem, solution), allow_nan=False)
        if options.json
        else text(problem, solution)
    )
    return 0 if solution.ok else 1


def ask(model: Model, options: Namespace) -> Problem:
    """Return the problem that the options make of a model.

    Raises
    ------
    MdplibError
        If the model needs a question and gets none, or has one and gets another.
    """
    if isinstance(model, LabelledMDP):
        if options.gamma is not None and (options.reach or options.until or options.average):
            raise MdplibError("--gamma asks a question of its own; leave out the other one")
        if options.reach is not None:
            return model.reach(options.reach, options.objective)
        if options.until is not None:
            return model.expected_reward(options.until, options.objective, options.reward)
        if options.average:
            return model.average_reward(options.objective, options.reward)
        if options.gamma is not None:
            if options.objective == "min":
                raise MdplibError("--objective min goes with --reach, --until or --average")
            return model.discounted(options.gamma, options.reward)
        labels = ", ".join(model.labels) or "none"
        rewards = ", ".join(model.rewards) or "none"
        raise MdplibError(
            f"{options.model} has no criterion; ask with --reach LABEL, --until LABEL, --average "
            f"or --gamma. Labels: {labels}. Rewards: {rewards}"
        )
    for name in ("reach", "until", "average", "reward"):
        if getattr(options, name):
            raise MdplibError(f"--{name}: {options.model} has a criterion of its own")
    return model


def load(name: str, gamma: float | None, horizon: int | None) -> Model:
    """Return the model of a file, of `mdplib.models.NAMED`, or of a Gymnasium environment.

    Raises
    ------
    MdplibError
        If there is neither; near matches are given.
    """
    if Path(name).suffix in FILES or Path(name).exists():
        if not Path(name).is_file():
            raise MdplibError(f"no file {name}")
        model = mdplib.read(name)
        if not isinstance(model, TabularMDP):
            if horizon is not None:
                raise MdplibError(f"--horizon: {name} holds a {type(model).__name__}")
            return model
        if horizon is not None:
            model = model.replace(horizon=horizon)
        return model if gamma is None else model.with_gamma(gamma)
    if name in models.NAMED:
        mdp = models.NAMED[name](gamma)
        return mdp if horizon is None else mdp.replace(horizon=horizon)
    require_known(name)
    discount = (1.0 if horizon else GAMMA) if gamma is None else gamma
    return mdplib.io.from_gymnasium(name, gamma=discount, horizon=horizon)


def require_known(name: str) -> None:
    """Raise unless Gymnasium knows an environment of that name."""
    try:
        import gymnasium
    except ImportError:
        raise MissingExtraError("gym", "gymnasium") from None

    if name not in gymnasium.registry:
        near = get_close_matches(name, [*gymnasium.registry, *models.NAMED], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "mdplib list names the models"
        raise MdplibError(f"no file, model or Gymnasium environment {name!r}; {hint}")


def as_json(mdp: Problem, solution: Solution) -> dict[str, Any]:
    """Return what there is to know as plain values."""
    low, high = solution.initial if solution.initial_law is not None else (None, None)
    stats = solution.stats
    return {
        "status": solution.status.name,
        "method": solution.provenance.solver,
        "gap": plain(solution.gap),
        "initial": {"lower": low, "upper": high},
        "lower": plain(solution.lower),
        "upper": plain(solution.upper),
        "policy": plain(actions(solution)),
        "exact": None if solution.exact is None else [fraction(x) for x in solution.exact],
        "n_states": mdp.n_states,
        "n_pairs": mdp.n_pairs,
        **criterion(mdp),
        "stats": {"iterations": stats.iterations, "wall_s": stats.wall_s, "cpu_s": stats.cpu_s},
    }


def criterion(problem: Problem) -> dict[str, Any]:
    """Return what is asked of the model."""
    if isinstance(problem, TabularMDP):
        return {"gamma": problem.gamma, "horizon": problem.horizon}
    return {"criterion": problem.criterion, "objective": problem.objective}


def fraction(x: Fraction | float) -> str:
    """Write a fraction as ``0x.../0x...``: its decimal digits may be beyond Python's limit.

    Examples
    --------
    >>> fraction(Fraction(-1, 16))
    '-0x1/0x10'
    """
    return str(x) if isinstance(x, float) else f"{x.numerator:#x}/{x.denominator:#x}"


def actions(solution: Solution) -> list[Any]:
    """Return the action of each state, or of each step and state."""
    policy = solution.policy
    steps = policy.steps if isinstance(policy, MarkovPolicy) else (policy,)
    table = [step.action.tolist() for step in steps if isinstance(step, DeterministicPolicy)]
    if len(table) < len(steps):
        raise MdplibError(f"a {type(policy).__name__} has no table of actions")
    return table if isinstance(policy, MarkovPolicy) else table[0]


def text(mdp: Problem, solution: Solution) -> str:
    """Return the lines for the terminal."""
    lines = [
        ("model", repr(mdp)),
        ("status", f"{solution.status.name}: {solution.status.sentence}"),
        ("method", f"{solution.provenance.solver}, {solution.stats.iterations} iterations"),
    ]
    if solution.initial_law is not None:
        low, high = solution.initial
        where = ""
    else:
        low, high = float(solution.lower.min()), float(solution.upper.max())
        where = " over all states"
    lines += [("lower", f"{low!r}{where}"), ("upper", f"{high!r}{where}")]  # no rounding: proven
    if solution.exact is not None and solution.initial_law is not None:
        (start,) = np.nonzero(solution.initial_law)
        if start.size == 1 and len(shown := str(solution.exact[int(start[0])])) <= DIGITS:
            lines += [("exact", shown)]
    lines += [("decided", sentence) for sentence in solution.stats.log]
    lines += [("gap", f"{solution.gap:.3g}"), ("policy", _shown(mdp, solution))]
    return "\n".join(f"{name:8}{value}" for name, value in lines)


def _shown(mdp: Problem, solution: Solution) -> str:
    first = actions(solution)
    step = ""
    names = None
    if isinstance(mdp, TabularMDP):
        names = mdp.action_labels
        if mdp.horizon is not None:
            first, step = first[0], " at step 0"
    shown = " ".join(names[a] if names else str(a) for a in first[:SHOWN])
    more = f" … ({len(first)} states, all with --json)" if len(first) > SHOWN else ""
    return f"{shown}{more}{step}"
