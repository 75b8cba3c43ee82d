"""An instance: a model, the parameters of a statement, and the means to know V*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bounds.arithmetic import optimal_value
from bounds.model import Array, Model, exact_array
from mdplib.errors import InvalidModelError
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP

Solver = Callable[[TabularMDP], Solution]
EXACT_STATES, EXACT_PAIRS, EXACT_HORIZON = 8, 40, 64


@dataclass(frozen=True, eq=False)
class Instance:
    """What a theorem is asked about.

    Parameters
    ----------
    model : Model
        The decision process, possibly not a valid one.
    values : mapping of str
        Named parameters: arrays, numbers, strings or further models.
    label : str
        Name used in verdicts.
    solver : callable, optional
        ``solver(mdp) -> Solution`` supplies V*; policy iteration of this package if None.
    steps : float, optional
        Norm of the map from one-step errors to values, needed for an undiscounted model, where
        the discount factor does not bound it.

    Examples
    --------
    >>> instance = Instance(Model([[1.0]], [1.0], [0, 1], 0.5), {"V": np.zeros(1)})
    >>> instance.V_star, instance["V"]
    (array([2.]), array([0.]))
    """

    model: Model
    values: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    solver: Solver | None = field(default=None, repr=False)
    steps: float | None = None
    _solved: dict[int, tuple[Model, Array, float]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self):
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __getitem__(self, name: str) -> Any:
        """Return the parameter of the given name."""
        return self.values[name]

    @classmethod
    def from_mdp(
        cls, mdp: TabularMDP, values: Mapping[str, Any] | None = None, label: str = ""
    ) -> Instance:
        """Return an instance on a validated model.

        Parameters
        ----------
        mdp : TabularMDP
            The model.
        values : mapping, optional
            Named parameters of the statement.
        label : str
            Name used in verdicts.

        Returns
        -------
        Instance
            Dense copy of the model with the parameters.

        Raises
        ------
        NotApplicableError
            If the model's kernels change with the step, or it is too large to be dense.
        """
        return cls(Model.from_mdp(mdp), values or {}, label or mdp.fingerprint[:8])

    @cached_property
    def V_star(self) -> Array:
        """Optimal value of the model, (S,) or (H+1, S)."""
        return self.optimal(self.model)

    def optimal(self, model: Model) -> Array:
        """Return the optimal value of a model, from the solver where it takes the model.

        Parameters
        ----------
        model : Model
            This instance's model or another one of the statement.

        Returns
        -------
        ndarray
            (S,), or (H+1, S) for a finite horizon.
        """
        known = self._solved.get(id(model))
        if known is None:
            known = (model, *self._solve(model))
            self._solved[id(model)] = known
        return known[1]

    def _solve(self, model: Model) -> tuple[Array, float]:
        if self.solver is None or model.is_exact:
            return optimal_value(model), 0.0
        try:
            mdp = model.to_mdp()
        except InvalidModelError:  # not a Markov decision process: no solver takes it
            return optimal_value(model), 0.0
        solution = self.solver(mdp)
        return solution.value, float((solution.upper - solution.lower).max())

    @property
    def radius(self) -> float:
        """Largest certified gap of the optimal values asked for so far."""
        return max((gap for _, _, gap in self._solved.values()), default=0.0)

    def with_values(self, changes: Mapping[str, Any]) -> Instance:
        """Return a copy with some parameters added or replaced; V* already known is kept.

        Parameters
        ----------
        changes : mapping
            Parameters by name.

        Returns
        -------
        Instance
            The copy.
        """
        copy = replace(self, values={**self.values, **changes})
        copy._solved.update(self._solved)
        return copy

    def with_model(self, model: Model) -> Instance:
        """Return a copy on another model.

        Parameters
        ----------
        model : Model
            The other model.

        Returns
        -------
        Instance
            The copy.
        """
        return replace(self, model=model)

    def with_solver(self, solver: Solver | None) -> Instance:
        """Return a copy whose V* comes from a given solver.

        Parameters
        ----------
        solver : callable or None
            ``solver(mdp) -> Solution``.

        Returns
        -------
        Instance
            The copy.
        """
        return replace(self, solver=solver)

    @property
    def can_be_exact(self) -> bool:
        """Whether the instance is small enough for rational arithmetic."""
        model = self.model
        return (
            model.n_states <= EXACT_STATES
            and model.n_pairs <= EXACT_PAIRS
            and (model.horizon or 0) <= EXACT_HORIZON
        )

    def exact(self) -> Instance:
        """Return the same instance in rational numbers; V* is recomputed, not taken over.

        Returns
        -------
        Instance
            Floats and float arrays become fractions, integers stay.
        """
        values = {name: _exact(value) for name, value in self.values.items()}
        return Instance(self.model.exact(), values, self.label, steps=self.steps)

    def save(self, path: Path) -> None:
        """Write the instance to an npz file.

        Parameters
        ----------
        path : Path
            File to write; its folder must exist.
        """
        arrays: dict[str, Any] = {"label": self.label, **_flat("model", self.model)}
        if self.steps is not None:
            arrays["steps"] = np.array(self.steps)
        for name, value in self.values.items():
            key = f"values.{name}"
            if isinstance(value, Model):
                arrays |= _flat(key, value)
            elif value is not None:
                arrays[key] = _plain(value)
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Instance:
        """Read an instance written by `save`.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        Instance
            Without a solver.
        """
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        values: dict[str, Any] = {}
        for key in arrays:
            name = key.removeprefix("values.")
            if key.startswith("values.") and "." not in name:
                values[name] = arrays[key] if arrays[key].ndim else arrays[key].item()
            elif key.startswith("values.") and name.endswith(".P"):
                values[name.removesuffix(".P")] = _model(arrays, key.removesuffix(".P"))
        steps = float(arrays["steps"]) if "steps" in arrays else None
        return cls(_model(arrays, "model"), values, str(arrays["label"]), steps=steps)


def _exact(value: Any) -> Any:
    if isinstance(value, Model):
        return value.exact()
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return exact_array(value)
    return Fraction(value) if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == object else array


def _flat(prefix: str, model: Model) -> dict[str, Any]:
    fields = {"P": model.P, "r": model.r, "state_ptr": model.state_ptr, "gamma": model.gamma}
    if model.horizon is not None:
        fields |= {"horizon": model.horizon, "terminal": model.terminal}
    return {f"{prefix}.{name}": _plain(value) for name, value in fields.items()}


def _model(arrays: Mapping[str, Any], prefix: str) -> Model:
    horizon = arrays.get(f"{prefix}.horizon")
    return Model(
        arrays[f"{prefix}.P"],
        arrays[f"{prefix}.r"],
        arrays[f"{prefix}.state_ptr"],
        float(arrays[f"{prefix}.gamma"]),
        None if horizon is None else int(horizon),
        arrays.get(f"{prefix}.terminal"),
    )
