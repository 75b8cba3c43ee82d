"""Solvers of coupled restless bandits: exact values, upper bounds, and policies."""

from importlib import import_module

_PUBLIC = {
    "joint_value_iteration": "solvers.restless.joint",
    "evaluate_joint": "solvers.restless.joint",
    "JointSolution": "solvers.restless.joint",
    "whittle_indices": "solvers.restless.whittle",
    "WhittleIndices": "solvers.restless.whittle",
    "fluid_bound": "solvers.restless.fluid",
    "FluidBound": "solvers.restless.fluid",
    "lagrangian_bound": "solvers.restless.lagrangian",
    "LagrangianBound": "solvers.restless.lagrangian",
    "discounted_bound": "solvers.restless.fluid_discounted",
    "DiscountedBound": "solvers.restless.fluid_discounted",
    "discounted_policy": "solvers.restless.fluid_discounted",
    "fluid_policy": "solvers.restless.policies",
    "null_policy": "solvers.restless.policies",
    "random_policy": "solvers.restless.policies",
    "sampling_policy": "solvers.restless.policies",
    "myopic_policy": "solvers.restless.policies",
    "whittle_policy": "solvers.restless.policies",
    "iterative_myopic_policy": "solvers.restless.iterative",
    "iterative_policy": "solvers.restless.iterative",
    "ActionValue": "solvers.restless.action_value",
    "Network": "solvers.restless.network",
    "Settings": "solvers.restless.settings",
    "sequoia": "solvers.restless.training",
}


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'solvers.restless' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
