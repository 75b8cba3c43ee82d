"""Reading and writing models.

`read` takes a file in any format known here, the name of a built-in model or the id of a Gymnasium
environment; `read_with_report` says besides what it noticed and mended; `write` chooses the format
by the suffix and refuses to lose anything. What belongs to one format is loaded with its module
only: Gymnasium is not imported before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "read": "mdplib.io.dispatch",
    "read_with_report": "mdplib.io.dispatch",
    "recognise": "mdplib.io.dispatch",
    "write": "mdplib.io.dispatch",
    "Report": "mdplib.io.report",
    "load_npz": "mdplib.io.npz",
    "save_npz": "mdplib.io.npz",
    "read_umb": "mdplib.io.umb",
    "write_umb": "mdplib.io.umb",
    "read_drn": "mdplib.io.drn",
    "write_drn": "mdplib.io.drn",
    "read_json": "mdplib.io.json_format",
    "write_json": "mdplib.io.json_write",
    "read_csv": "mdplib.io.craam",
    "write_csv": "mdplib.io.craam",
    "from_mdpsolver": "mdplib.io.mdpsolver",
    "from_storm": "mdplib.io.storm",
    "read_prism": "mdplib.io.storm",
    "read_jani": "mdplib.io.storm",
    "from_gymnasium": "mdplib.io.gymnasium",
    "to_gymnasium": "mdplib.io.gymnasium",
}
__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.io.craam import read_csv as read_csv
    from mdplib.io.craam import write_csv as write_csv
    from mdplib.io.dispatch import read as read
    from mdplib.io.dispatch import read_with_report as read_with_report
    from mdplib.io.dispatch import recognise as recognise
    from mdplib.io.dispatch import write as write
    from mdplib.io.drn import read_drn as read_drn
    from mdplib.io.drn import write_drn as write_drn
    from mdplib.io.gymnasium import from_gymnasium as from_gymnasium
    from mdplib.io.gymnasium import to_gymnasium as to_gymnasium
    from mdplib.io.json_format import read_json as read_json
    from mdplib.io.json_write import write_json as write_json
    from mdplib.io.mdpsolver import from_mdpsolver as from_mdpsolver
    from mdplib.io.npz import load_npz as load_npz
    from mdplib.io.npz import save_npz as save_npz
    from mdplib.io.report import Report as Report
    from mdplib.io.storm import from_storm as from_storm
    from mdplib.io.storm import read_jani as read_jani
    from mdplib.io.storm import read_prism as read_prism
    from mdplib.io.umb import read_umb as read_umb
    from mdplib.io.umb import write_umb as write_umb


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mdplib.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
