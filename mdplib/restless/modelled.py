"""Action sets that a user writes down as a PuLP model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.optim.backends import solve_mip
from mdplib.optim.builder import MipBuilder
from mdplib.optim.mip import MipArrays, MipStatus
from mdplib.restless.action_set import LIMIT, ActionColumns, Actions, Ints, as_rows, binary, pulled


@dataclass(frozen=True, eq=False, repr=False)
class PulpActions:
    """All 0-1 values of some columns of a program that can be completed to a feasible point.

    Parameters
    ----------
    program : MipArrays
        The constraints; costs are ignored.
    action : (J,) int64
        Columns of the program that are the components of the action, one per arm.

    Raises
    ------
    InvalidModelError
        If an action column is not binary, or no action is feasible.
    """

    program: MipArrays
    action: Ints
    n_levels = 2

    def __post_init__(self):
        action = np.array(validate.frozen(self.action, np.int64, "action"))
        n = self.program.c.size
        if not action.size or action.min() < 0 or action.max() >= n:
            raise InvalidModelError(
                f"the action has columns {action.tolist()}; give some of 0..{n - 1}"
            )
        if np.unique(action).size < action.size:
            raise InvalidModelError(f"the action has columns {action.tolist()}; name each once")
        object.__setattr__(self, "action", action)
        low, high = self.program.col_lower[action], self.program.col_upper[action]
        bad = ~(self.program.integer[action] & (low >= 0) & (high <= 1))
        if bad.any():
            j = int(np.argmax(bad))
            raise InvalidModelError(
                f"component {j} of the action lies in [{low[j]:g}, {high[j]:g}] and is "
                f"{'' if self.program.integer[action[j]] else 'not '}integer; make it binary"
            )
        if self._completion(low, high) is None:
            raise InvalidModelError("no action satisfies the constraints; relax them")

    @classmethod
    def from_pulp(cls, problem: Any, action: Sequence[str]) -> PulpActions:
        """Return the action set of a PuLP model.

        Parameters
        ----------
        problem : pulp.LpProblem
            The constraints.
        action : sequence of str
            Names of the binary variables that pull arms 0, 1, ...

        Returns
        -------
        PulpActions

        Raises
        ------
        InvalidModelError
            If a name is not a variable of the model.
        MissingExtraError
            If PuLP is not installed.

        Examples
        --------
        >>> import pulp
        >>> problem = pulp.LpProblem()
        >>> pull = [problem.add_variable(f"pull{j}", cat="Binary") for j in range(3)]
        >>> problem += pull[0] + pull[1] <= 1
        >>> problem += pull[1] == pull[2]
        >>> PulpActions.from_pulp(problem, ["pull0", "pull1", "pull2"]).enumerate().tolist()
        [[0, 0, 0], [1, 0, 0], [0, 1, 1]]
        """
        from mdplib.optim.pulp_models import from_pulp

        program, names = from_pulp(problem)
        missing = [name for name in action if name not in names]
        if missing:
            raise InvalidModelError(
                f"the model has no variable {missing[0]!r}; it has {', '.join(names[:10])}"
            )
        return cls(program, np.array([names.index(name) for name in action]))

    @property
    def n_actions(self) -> int:
        """Number of components of an action."""
        return self.action.size

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return self.action.size

    @property
    def most(self) -> int:
        """Upper bound on the number of pulls."""
        return self.n_arms

    def levels(self, a: ArrayLike) -> Ints:
        """Return the level of each arm: pulled or not."""
        return np.asarray(a, dtype=np.int64)

    def _completion(self, low: ArrayLike, high: ArrayLike, cost: ArrayLike = 0.0) -> Actions | None:
        """Return a feasible action between two bounds, of least cost, or None."""
        program = self.program
        lower, upper = program.col_lower.copy(), program.col_upper.copy()
        lower[self.action], upper[self.action] = low, high
        c = np.zeros(lower.size)
        c[self.action] = cost
        found = solve_mip(
            MipArrays(
                c, program.A, program.row_lower, program.row_upper, lower, upper, program.integer
            )
        )
        if found.status is MipStatus.INFEASIBLE:
            return None
        return np.round(found.require()[self.action]).astype(np.int8)

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether the action can be completed: a program with the action fixed."""
        fixed = binary(a, self.n_arms)
        return self._completion(fixed, fixed) is not None

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add all columns and rows of the program."""
        program = self.program
        columns = builder.columns(
            program.c.size,
            lower=program.col_lower,
            upper=program.col_upper,
            integer=program.integer,
        )
        A = program.A
        for i in range(A.shape[0]):
            entries = slice(int(A.indptr[i]), int(A.indptr[i + 1]))
            builder.row(
                columns[A.indices[entries]],
                A.data[entries],
                lower=float(program.row_lower[i]),
                upper=float(program.row_upper[i]),
            )
        return pulled(self.n_arms, columns[self.action])

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions, by a binary search tree with one feasibility program per node."""
        found: list[tuple[int, ...]] = []
        low = np.zeros(self.n_arms)
        high = np.ones(self.n_arms)

        def split(j: int) -> None:
            if len(found) > limit or self._completion(low, high) is None:
                return
            if j == self.n_arms:
                found.append(tuple(np.flatnonzero(low).tolist()))
                return
            for value in (0.0, 1.0):
                low[j] = high[j] = value
                split(j + 1)
            low[j], high[j] = 0.0, 1.0

        split(0)
        return as_rows(found, self.n_arms, limit)

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw the best action for random weights."""
        weights = rng.normal(size=self.n_arms)
        found = self._completion(np.zeros(self.n_arms), np.ones(self.n_arms), weights)
        assert found is not None
        return found

    def __repr__(self) -> str:
        m, n = self.program.shape
        return f"PulpActions({self.n_arms} arms, {n} columns, {m} rows)"
