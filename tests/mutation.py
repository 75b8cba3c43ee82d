"""Broken copies of a module: the source with one piece of text replaced, run as a new module."""

from __future__ import annotations

import inspect
import itertools
import sys
from types import ModuleType

_number = itertools.count()


def mutant(module: ModuleType, *changes: tuple[str, str]) -> ModuleType:
    """Return a copy of `module` in which each (old, new) text has been replaced once."""
    source = inspect.getsource(module)
    for old, new in changes:
        assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    name = f"{module.__name__}_mutant_{next(_number)}"
    copy = ModuleType(name)
    copy.__file__ = module.__file__
    sys.modules[name] = copy  # dataclasses look their module up
    exec(compile(source, f"<{name}>", "exec"), copy.__dict__)
    return copy
