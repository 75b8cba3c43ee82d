"""A case: what a theorem is asked about when there is no tabular model behind it.

`Instance` carries a small Markov decision process that can be recomputed in rational numbers. A
linear, robust or dynamical problem has no such form; its theorems are asked about a `Case`, a
label with named values, and are judged in floats with a stated rounding error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mdplib.errors import InvalidModelError

_HOMES = ("mdplib", "bounds")


@dataclass(frozen=True, eq=False)
class Case:
    """What a theorem is asked about.

    Parameters
    ----------
    values : mapping of str
        Named numbers, strings, arrays, tuples of them, and frozen dataclasses of this library.
    label : str
        Name used in verdicts.
    rounding : float
        Bound on the error of either side of the theorem, relative to the larger of one and the
        largest entry of both.

    Examples
    --------
    >>> case = Case({"x": 2.0}, "two")
    >>> case["x"], case.with_values({"y": 3.0})["y"], case.allowance(np.array([4.0]))
    (2.0, 3.0, 4e-09)
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    rounding: float = 1e-9

    def __post_init__(self):
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __getitem__(self, name: str) -> Any:
        """Return the value of the given name."""
        return self.values[name]

    def with_values(self, changes: Mapping[str, Any]) -> Case:
        """Return a copy with some values added or replaced.

        Parameters
        ----------
        changes : mapping
            Values by name.

        Returns
        -------
        Case
            The copy.
        """
        return replace(self, values={**self.values, **changes})

    def allowance(self, *sizes: Any) -> float:
        """Return what rounding may add to a side of the theorem.

        Parameters
        ----------
        *sizes : ndarray
            Both sides.

        Returns
        -------
        float
            The allowance.
        """
        largest = max((float(np.abs(x).max()) for x in sizes if np.size(x)), default=1.0)
        return self.rounding * max(1.0, largest)

    @property
    def radius(self) -> float:
        """Zero: no solver stands behind the values."""
        return 0.0

    @property
    def can_be_exact(self) -> bool:
        """False: there is no rational form."""
        return False

    def save(self, path: Path) -> None:
        """Write the case to an npz file, readable by `bounds.load`.

        Parameters
        ----------
        path : Path
            File to write; its folder must exist.

        Raises
        ------
        InvalidModelError
            If a value is of a type that cannot be stored; the message names it.
        """
        arrays: dict[str, Any] = {"label": self.label, "rounding": self.rounding}
        for name, value in self.values.items():
            arrays |= _packed(f"case.{name}", value)
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Case:
        """Return the case that `save` wrote as arrays.

        Parameters
        ----------
        arrays : mapping
            Content of the file.

        Returns
        -------
        Case
            The case.
        """
        names = {key.split(".")[1].partition("@")[0] for key in arrays if key.startswith("case.")}
        values = {name: _unpacked(f"case.{name}", arrays) for name in sorted(names)}
        return cls(values, str(arrays["label"]), float(arrays["rounding"]))


def _packed(key: str, value: Any) -> dict[str, Any]:
    """Return a value as arrays whose keys begin with `key`."""
    if value is None:
        return {f"{key}@none": True}
    if isinstance(value, tuple | list):
        parts = [_packed(f"{key}.{i}", item) for i, item in enumerate(value)]
        return {f"{key}@tuple": len(parts)} | {k: v for part in parts for k, v in part.items()}
    if is_dataclass(value) and type(value).__module__.split(".")[0] in _HOMES:
        home = f"{type(value).__module__}:{type(value).__qualname__}"
        parts = [_packed(f"{key}.{f.name}", getattr(value, f.name)) for f in _stored(value)]
        return {f"{key}@class": home} | {k: v for part in parts for k, v in part.items()}
    array = np.asarray(value)
    if array.dtype.kind not in "biufcU":
        raise InvalidModelError(
            f"{key.removeprefix('case.')} is a {type(value).__name__} and cannot be stored; give "
            "numbers, strings, arrays, tuples of them, or dataclasses of this library"
        )
    return {key: array}


def _unpacked(key: str, arrays: Mapping[str, Any]) -> Any:
    """Return the value that `_packed` wrote under `key`."""
    if f"{key}@none" in arrays:
        return None
    if f"{key}@tuple" in arrays:
        return tuple(_unpacked(f"{key}.{i}", arrays) for i in range(int(arrays[f"{key}@tuple"])))
    if f"{key}@class" in arrays:
        module, _, name = str(arrays[f"{key}@class"]).partition(":")
        if module.split(".")[0] not in _HOMES:
            raise InvalidModelError(f"{key} is of class {module}:{name}, not one of this library")
        kind = getattr(import_module(module), name)
        return kind(**{f.name: _unpacked(f"{key}.{f.name}", arrays) for f in _stored(kind)})
    array = arrays[key]
    return array if array.ndim else array.item()


def _stored(dataclass_or_instance: Any) -> list[Any]:
    return [f for f in fields(dataclass_or_instance) if f.init]
