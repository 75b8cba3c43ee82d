"""Every method by name: what it needs, what it promises, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from mdplib.solution import Solution

Kind = Literal["discounted", "finite_horizon", "reachability", "expected_reward", "average_reward"]


@dataclass(frozen=True)
class Method:
    """One entry of the table.

    Parameters
    ----------
    module, name : str
        Where the function lives; it is imported on first use.
    requires : tuple of str
        Kinds of problem it solves.
    options : tuple of (str, object)
        Options that set it apart from other entries of the same function.
    cost : str
        Time per iteration, or in all.
    """

    module: str
    name: str
    requires: tuple[Kind, ...]
    cost: str
    options: tuple[tuple[str, object], ...] = ()

    @property
    def function(self) -> Callable[..., Solution]:
        """The solver: maps a problem and keyword options to a `Solution`."""
        return getattr(import_module(self.module), self.name)


_TABULAR = "solvers.tabular."
_UNDISCOUNTED = "solvers.undiscounted."
_TO_A_TARGET: tuple[Kind, ...] = ("reachability", "expected_reward")
METHODS: dict[str, Method] = {
    "auto": Method(
        _TABULAR + "auto", "auto", ("discounted",), "about that of the best of those it combines"
    ),
    "value_iteration": Method(
        _TABULAR + "value_iteration", "value_iteration", ("discounted",), "O(nnz) per sweep"
    ),
    "gauss_seidel": Method(
        _TABULAR + "value_iteration",
        "value_iteration",
        ("discounted",),
        "O(nnz) per sweep",
        (("variant", "gauss_seidel"),),
    ),
    "modified_policy_iteration": Method(
        _TABULAR + "modified_policy_iteration",
        "modified_policy_iteration",
        ("discounted",),
        "O(nnz) per greedy step, O(nnz / A) per inner sweep",
    ),
    "policy_iteration": Method(
        _TABULAR + "policy_iteration",
        "policy_iteration",
        ("discounted",),
        "one direct linear solve per improvement",
    ),
    "inexact_policy_iteration": Method(
        _TABULAR + "inexact_policy_iteration",
        "inexact_policy_iteration",
        ("discounted",),
        "O(nnz) per greedy step, O(nnz / A) per Krylov product",
    ),
    "anderson": Method(
        _TABULAR + "anderson", "anderson", ("discounted",), "O(nnz + memory S) per sweep"
    ),
    "action_elimination": Method(
        _TABULAR + "action_elimination",
        "action_elimination",
        ("discounted",),
        "O(nnz of the pairs not yet eliminated) per sweep",
    ),
    "topological": Method(
        _TABULAR + "topological",
        "topological",
        ("discounted",),
        "O(nnz) per sweep of each strong component",
    ),
    "linear_programming": Method(
        _TABULAR + "linear_programming",
        "linear_programming",
        ("discounted",),
        "one linear program with S variables and K rows",
    ),
    "exact": Method(
        _TABULAR + "exact",
        "exact_policy_iteration",
        ("discounted", "finite_horizon"),
        "one rational solve per strong component and improvement",
    ),
    "backward_induction": Method(
        _TABULAR + "backward_induction",
        "backward_induction",
        ("finite_horizon",),
        "O(H nnz)",
    ),
    "certified_policy_iteration": Method(
        _UNDISCOUNTED + "certified_policy_iteration",
        "certified_policy_iteration",
        _TO_A_TARGET,
        "one sparse solve per strong component and improvement",
    ),
    "interval_iteration": Method(
        _UNDISCOUNTED + "interval_iteration",
        "interval_iteration",
        _TO_A_TARGET,
        "O(nnz) per sweep, from below and from above",
    ),
    "optimistic_value_iteration": Method(
        _UNDISCOUNTED + "optimistic_value_iteration",
        "optimistic_value_iteration",
        _TO_A_TARGET,
        "O(nnz) per sweep",
    ),
    "exact_undiscounted": Method(
        _UNDISCOUNTED + "exact",
        "exact_undiscounted",
        _TO_A_TARGET,
        "one rational solve per strong component and improvement",
    ),
    "average_reward": Method(
        _UNDISCOUNTED + "average_reward",
        "average_reward",
        ("average_reward",),
        "O(nnz) per sweep",
    ),
}
