"""How a run was made: versions, machine, commit, seed, counts."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "mdplib",
    "numpy",
    "scipy",
    "numba",
    "highspy",
    "matplotlib",
    "joblib",
    "distributed",
    "gymnasium",
    "python-flint",
    "polars",
)


def versions() -> dict[str, str | None]:
    """Return the installed versions of the packages that may matter, None where absent.

    Examples
    --------
    >>> versions()["numpy"] is not None
    True
    """
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_state(folder: Path | None = None) -> dict[str, Any] | None:
    """Return commit and dirtiness of the checkout that holds the code, None outside of one.

    Parameters
    ----------
    folder : Path, optional
        A folder of the checkout; by default the one of this package.

    Returns
    -------
    dict or None
        ``{"commit": str or None, "dirty": bool}``; the commit is None before the first one.
    """
    here = folder or Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None

    def git(*words: str) -> str | None:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        status = git("status", "--porcelain")
        return (
            None if status is None else {"commit": git("rev-parse", "HEAD"), "dirty": bool(status)}
        )
    except OSError:  # git is not installed
        return None


def surroundings() -> dict[str, Any]:
    """Return the machine, the interpreter, the packages and the commit."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "packages": versions(),
        "git": git_state(),
    }
