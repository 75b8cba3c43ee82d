"""What a theorem can be asked about: an `Instance` or a `Case`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bounds.case import Case
from bounds.instance import Instance

Subject = Instance | Case


def load(path: Path) -> Subject:
    """Read an instance or a case written by its `save`.

    Parameters
    ----------
    path : Path
        The npz file, such as the one a verdict names.

    Returns
    -------
    Instance or Case
        As saved.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Case({"x": (1, 2.5)}, "pair").save(Path(folder) / "case.npz")
    ...     load(Path(folder) / "case.npz")["x"]
    (1, 2.5)
    """
    with np.load(path, allow_pickle=False) as stored:
        if "rounding" not in stored.files:
            return Instance.load(path)
        return Case.from_arrays({name: stored[name] for name in stored.files})
