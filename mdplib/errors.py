"""What can go wrong, and what each error carries.

Every message says what is wrong, where (the first offending index and its value), how many
entries are off, and what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdplib.solution import Solution


class MdplibError(Exception):
    """Base of every error this library raises on purpose."""


class InvalidModelError(MdplibError, ValueError):
    """A problem, policy or data set is not what it claims to be."""


class SolverError(MdplibError):
    """A solver could not do what was asked.

    Parameters
    ----------
    message : str
        What happened and what to do about it.
    solution : Solution or None
        The best certified answer found before the failure, if there is one.
    """

    def __init__(self, message: str, solution: Solution | None = None):
        super().__init__(message)
        self.solution = solution


class NotApplicableError(MdplibError):
    """A method or theorem was asked about an instance outside its hypotheses.

    Parameters
    ----------
    hypothesis : str
        The hypothesis that fails.
    """

    def __init__(self, hypothesis: str):
        super().__init__(f"not applicable: {hypothesis}")
        self.hypothesis = hypothesis


class MissingExtraError(MdplibError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    extra : str
        The extra of this package that brings it.
    module : str
        The module that could not be imported.

    Examples
    --------
    >>> raise MissingExtraError("exact", "flint")
    Traceback (most recent call last):
    ...
    mdplib.errors.MissingExtraError: flint is not installed; it comes with the extra 'exact'...
    """

    def __init__(self, extra: str, module: str):
        super().__init__(
            f"{module} is not installed; it comes with the extra {extra!r} "
            f'(in a checkout of mdplib: pip install -e ".[{extra}]")'
        )
        self.extra = extra
        self.module = module
