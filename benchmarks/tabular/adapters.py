"""One adapter per library: arrays of a model in, value vector out.

This file is run by the interpreter that has the library, which need not have anything else of the
project; so it imports only numpy and scipy, and each library by name when it is asked for.

An adapter is made once for a model and a method. ``problem(gamma, epsilon)`` constructs what the
library solves, outside of the clock; ``solve(problem)`` is timed and returns what ``value`` turns
into the (S,) vector, outside of the clock again. `epsilon` is the accuracy wanted of the vector,
``max |V - V*| <= epsilon``; each adapter translates it for the stopping rule of its library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Arrays = dict[str, np.ndarray]
FIELDS = ("state_ptr", "indptr", "indices", "data", "reward", "action_id")
_MANY = 10**9  # iterations: the time limit is what ends a run
_CHANGES = 5000  # improvements of a policy, which may go on for ever when actions tie


class NotOffered(Exception):
    """A method that the library does not have for this kind of model."""


class Adapter(ABC):
    """See the module's text."""

    module: ClassVar[str]
    methods: ClassVar[tuple[str, ...]]
    compiled: ClassVar[bool] = False  # at run time: to be warmed up on a small model

    def __init__(self, model: Arrays, method: str):
        self.model, self.method = model, method
        self.library: Any = import_module(self.module)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.model["state_ptr"].size - 1

    @property
    def is_dense(self) -> bool:
        """Whether at least a tenth of all possible transitions is there."""
        return self.model["data"].size >= 0.1 * self.model["reward"].size * self.n_states

    @abstractmethod
    def problem(self, gamma: float, epsilon: float) -> Any:
        """Construct what `solve` takes."""

    @abstractmethod
    def solve(self, problem: Any) -> Any:
        """Solve; this call is timed."""

    def value(self, result: Any) -> np.ndarray:
        """Return the value vector of a result."""
        return np.asarray(result, dtype=np.float64)


class Mdplib(Adapter):
    """`solvers.solve`: bounds 2 epsilon apart prove their middle, the value, within epsilon."""

    module = "mdplib"
    methods = ("auto",)
    compiled = True

    def __init__(self, model: Arrays, method: str):
        super().__init__(model, method)
        self.run = import_module("solvers").solve
        self.mdp: Any = None

    def problem(self, gamma: float, epsilon: float) -> Any:
        """Keep the model between runs, as the other libraries do."""
        if self.mdp is None or self.mdp.gamma != gamma:
            arrays = [self.model[name] for name in FIELDS]
            for array in arrays:
                array.flags.writeable = False
            self.mdp = self.library.TabularMDP(*arrays, gamma)
        return self.mdp, epsilon

    def solve(self, problem: Any) -> Any:
        """See `Adapter`."""
        mdp, epsilon = problem
        return self.run(mdp, self.method, tol=2 * epsilon)

    def value(self, result: Any) -> np.ndarray:
        """See `Adapter`."""
        return result.value


class QuantEcon(Adapter):
    """DiscreteDP. Value and modified policy iteration leave an error of at most epsilon / 2."""

    module = "quantecon.markov"
    methods = ("mpi", "pi", "vi", "dense mpi", "dense pi", "dense vi")
    compiled = True

    def __init__(self, model: Arrays, method: str):
        super().__init__(model, method)
        import scipy.sparse as sp

        kind, self.algorithm = method.split() if " " in method else ("sparse", method)
        state = np.repeat(np.arange(self.n_states), np.diff(model["state_ptr"]))
        shape = (state.size, self.n_states)
        rows: Any = sp.csr_matrix((model["data"], model["indices"], model["indptr"]), shape=shape)
        action = model["action_id"].astype(np.int64)
        if kind == "sparse":
            self.given = (model["reward"], rows, state, action)
            return
        if not self.is_dense or np.unique(np.diff(model["state_ptr"])).size > 1:
            raise NotOffered("the dense form is for dense models")
        shape = (self.n_states, -1)
        self.given = (
            model["reward"].reshape(shape),
            rows.toarray().reshape(*model["reward"].reshape(shape).shape, self.n_states),
        )

    def problem(self, gamma: float, epsilon: float) -> Any:
        """See `Adapter`."""
        R, Q, *indices = self.given
        return self.library.DiscreteDP(R, Q, gamma, *indices), 2 * epsilon

    def solve(self, problem: Any) -> Any:
        """See `Adapter`."""
        ddp, epsilon = problem
        if self.algorithm == "pi":  # rounding may let it alternate between tied actions for ever
            return ddp.solve(method="pi", max_iter=_CHANGES)
        return ddp.solve(method=self.algorithm, max_iter=_MANY, epsilon=epsilon)

    def value(self, result: Any) -> np.ndarray:
        """See `Adapter`."""
        return np.asarray(result.v)


class MDPSolver(Adapter):
    """MDPSolver. The error was half the tolerance in every case tried; it is checked anyway.

    A model that was solved before starts from its last vector, so each run gets a new one.
    """

    module = "mdpsolver"
    methods = ("mpi", "vi", "pi", "mpi parallel")

    def __init__(self, model: Arrays, method: str):
        super().__init__(model, method)
        ptr, indptr, reward = (model[name].tolist() for name in ("state_ptr", "indptr", "reward"))
        indices, data = model["indices"].tolist(), model["data"].tolist()
        states = [range(a, b) for a, b in pairwise(ptr)]
        self.given = {
            "rewards": [reward[ks.start : ks.stop] for ks in states],
            "tranMatProbs": [[data[indptr[k] : indptr[k + 1]] for k in ks] for ks in states],
            "tranMatColumns": [[indices[indptr[k] : indptr[k + 1]] for k in ks] for ks in states],
        }

    def problem(self, gamma: float, epsilon: float) -> Any:
        """See `Adapter`."""
        mdl = self.library.model()
        mdl.mdp(discount=gamma, **self.given)
        return mdl, 2 * epsilon

    def solve(self, problem: Any) -> Any:
        """See `Adapter`."""
        mdl, tolerance = problem
        algorithm, *parallel = self.method.split()
        mdl.solve(algorithm=algorithm, tolerance=tolerance, parallel=bool(parallel))
        return mdl

    def value(self, result: Any) -> np.ndarray:
        """See `Adapter`."""
        return np.asarray(result.getValueVector())


class MDPtoolbox(Adapter):
    """MDPtoolbox for Python. Value iteration stops by span and leaves V off by a constant."""

    module = "mdptoolbox.mdp"
    methods = ("pi", "mpi", "vi")

    def __init__(self, model: Arrays, method: str):
        super().__init__(model, method)
        import scipy.sparse as sp

        first = model["state_ptr"][:-1]
        count = np.diff(model["state_ptr"])
        rows: Any = sp.csr_matrix(
            (model["data"], model["indices"], model["indptr"]),
            shape=(model["reward"].size, self.n_states),
        )
        # the library wants the same actions everywhere: those that are missing act like the first
        pairs = [np.where(a < count, first + a, first) for a in range(int(count.max()))]
        self.P: Any = [rows[k] for k in pairs]
        if self.is_dense:
            self.P = np.array([p.toarray() for p in self.P])
        self.R = np.column_stack([model["reward"][k] for k in pairs])

    def problem(self, gamma: float, epsilon: float) -> Any:
        """See `Adapter`."""
        if self.method == "pi":
            return self.library.PolicyIteration(self.P, self.R, gamma, max_iter=_CHANGES)
        if self.method == "mpi":
            return self.library.PolicyIterationModified(self.P, self.R, gamma, epsilon=epsilon)
        return self.library.ValueIteration(self.P, self.R, gamma, epsilon=epsilon)

    def solve(self, problem: Any) -> Any:
        """See `Adapter`."""
        problem.run()
        return problem.V


class Storm(Adapter):
    """Storm through stormpy, property ``R max=? [ Cdiscount=gamma ]``, absolute precision."""

    module = "stormpy"
    methods = ("vi",)

    def __init__(self, model: Arrays, method: str):
        super().__init__(model, method)
        storage: Any = import_module("stormpy.developer.storage")
        indptr, indices, data = (model[name] for name in ("indptr", "indices", "data"))
        builder: Any = storage._SparseMatrixBuilder_Double(
            rows=model["reward"].size,
            columns=self.n_states,
            entries=data.size,
            has_custom_row_grouping=True,
            row_groups=self.n_states,
        )
        add, column, p = builder.add_next_value, indices.tolist(), data.tolist()
        ends, pairs = indptr.tolist(), model["state_ptr"].tolist()
        for s in range(self.n_states):
            builder.new_row_group(pairs[s])
            for k in range(pairs[s], pairs[s + 1]):
                for j in range(ends[k], ends[k + 1]):
                    add(k, column[j], p[j])
        labels: Any = storage.StateLabeling(self.n_states)
        labels.add_label("init")
        labels.add_label_to_state("init", 0)
        pay: Any = storage._SparseRewardModel_Double(
            optional_state_action_reward_vector=model["reward"].tolist()
        )
        parts: Any = storage._SparseModelComponents_Double(
            transition_matrix=builder.build(), state_labeling=labels, reward_models={"r": pay}
        )
        self.storm_model: Any = storage._SparseMdp_Double(parts)

    def problem(self, gamma: float, epsilon: float) -> Any:
        """See `Adapter`."""
        environment: Any = import_module("stormpy.environments").default(self.storm_model)
        settings = environment.solver().min_max()
        settings.precision = import_module("stormpy").Rational(epsilon)
        settings.relative_termination_criterion = False
        settings.maximal_number_of_iterations = _MANY
        formula = f'R{{"r"}}max=? [ Cdiscount={gamma!r} ]'
        return self.library.parse_properties(formula)[0], environment

    def solve(self, problem: Any) -> Any:
        """See `Adapter`."""
        formula, environment = problem
        return self.library.model_checking(self.storm_model, formula, environment=environment)

    def value(self, result: Any) -> np.ndarray:
        """See `Adapter`."""
        return np.array(result.get_value_vector())


ADAPTERS: dict[str, type[Adapter]] = {
    "mdplib": Mdplib,
    "quantecon": QuantEcon,
    "mdpsolver": MDPSolver,
    "mdptoolbox": MDPtoolbox,
    "stormpy": Storm,
}


def load(folder: Path) -> Arrays:
    """Read the arrays of a model."""
    return {name: np.load(folder / f"{name}.npy") for name in FIELDS}


def save(model: Any, folder: Path) -> None:
    """Write the arrays of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FIELDS:
        np.save(folder / f"{name}.npy", getattr(model, name))
