"""A page of results: ``results/index.html``, self-contained apart from the figures it links.

The page is built from files alone: ``analysis.json``, figures and manifests of each experiment,
and ``verdicts.json``. Whatever is missing is said to be missing. Every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from experiments.engine.cells import restore
from experiments.engine.store import open_results, read_json, write_atomic
from experiments.formula import formula_html

CSS = Path(__file__).with_name("report.css")
WIDE_FIGURE = 5.0  # inches from which a figure takes the whole row
_TONE = {"HOLDS": "good", "agree": "good", "VIOLATED": "bad", "differs": "bad"}

MANY_CLAIMS = 40  # more are folded by judgement


def write_report(results: Path, catalogue: dict[str, str]) -> Path:
    """Write the page and return its path.

    Parameters
    ----------
    results : Path
        The results folder.
    catalogue : dict
        Title of each experiment by name, in the order of the page.

    Returns
    -------
    Path
        ``results/index.html``.
    """
    open_results(results)
    path = results / "index.html"
    write_atomic(path, page(results, catalogue).encode())
    return path


def page(results: Path, catalogue: dict[str, str]) -> str:
    """Return the page as text; arguments as for `write_report`."""
    names = list(catalogue)
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    verdicts = read_json(results / "verdicts.json")
    body = [
        "<h1>Results</h1>",
        '<p class="soft">Every number below was computed by this library; the rows behind it '
        "lie beside this page. Intervals are named where they are drawn.</p>",
        f'<nav>{links}<a href="#theorems">theorems</a></nav>',
        *(_experiment(results / name, name, catalogue[name]) for name in names),
        '<h2 id="theorems">Theorems</h2>',
        _verdicts(verdicts),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>mdplib: results</title><style>\n{CSS.read_text(encoding='utf-8')}</style></head>"
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


# ------------------------------------------------------------------ experiments


def _experiment(folder: Path, name: str, title: str) -> str:
    analysis = read_json(folder / "analysis.json") or {}
    head = f'<h2 id="{escape(name)}">{escape(title)}</h2>'
    if not analysis:
        command = f"mdplib reproduce {name} --scale smoke"
        return head + _empty(f"No rows yet. Compute them with {_code(command)}.")
    cells = analysis["cells"]
    line = (
        f"{_code(name)}, scale {escape(analysis['scale'])}: {cells['finished']} of "
        f"{cells['total']} cells"
    )
    parts = [head, f'<p class="soft">{line}.</p>', _figures(folder)]
    if cells["finished"] < cells["total"]:
        parts.append(_empty("The sweep is not complete: figures show the finished cells."))
    parts += ["<h3>Claimed and measured</h3>", _claims(analysis["claims"])]
    return "\n".join([*parts, "<h3>Provenance</h3>", _provenance(folder)])


def _place(path: Path) -> tuple[int, str]:
    """Return the number with which the name of a figure begins, and the name."""
    first = path.stem.partition("-")[0]
    return (int(first) if first.isdigit() else 0), path.stem


def _figures(folder: Path) -> str:
    shown = []
    for path in sorted((folder / "figures").glob("*.json"), key=_place):
        numbers, name = read_json(path) or {}, path.stem
        base = escape(f"{folder.name}/figures/{name}")
        wide = ' class="wide"' if numbers.get("width", 0) >= WIDE_FIGURE else ""
        caption = escape(str(numbers.get("caption", "")))
        shown.append(
            f'<figure{wide}><a href="{base}.pdf"><img src="{base}.png" alt="{caption}" '
            f'loading="lazy"></a><figcaption>{caption} '
            f'<a href="{base}.pdf">PDF</a> · <a href="{base}.json">numbers</a></figcaption>'
            "</figure>"
        )
    return f'<div class="figures">{"".join(shown)}</div>' if shown else _empty("No figures yet.")


def _claims(claims: list[dict[str, Any]]) -> str:
    if not claims:
        return _empty("This experiment makes no claims.")
    if len(claims) <= MANY_CLAIMS:
        return _claim_table(claims)
    parts = []
    for judgement in ("differs", "unknown", "agree"):  # what needs a look comes first
        some = [entry for entry in claims if entry["judgement"] == judgement]
        if some:
            title = f"{len(some)} of {len(claims)}: {judgement}"
            parts.append(f"<details><summary>{title}</summary>{_claim_table(some)}</details>")
    return "\n".join(parts)


def _claim_table(claims: list[dict[str, Any]]) -> str:
    rows = []
    for entry in claims:
        claim = entry["claim"]
        rows.append(
            (
                escape(claim["quantity"]),
                escape(claim["source"]),
                escape(_claimed(claim)),
                _interval(entry["measured"]),
                _outcome(entry["judgement"]),
            )
        )
    return _table(("Quantity", "Source", "Claimed", "Measured", "Judgement"), rows)


def _claimed(claim: dict[str, Any]) -> str:
    tolerance = f" (± {claim['tolerance']:g})" if claim["tolerance"] else ""
    return f"{claim['relation']} {claim['value']:g}{tolerance}"


def _provenance(folder: Path) -> str:
    runs = sorted((folder / "runs").glob("*.json"))
    run = read_json(runs[-1]) if runs else None
    if not run:
        return _empty("No manifest.")
    git = run.get("git")
    commit = "not a git checkout"
    if git:
        commit = (git["commit"] or "no commit yet") + (
            " with local changes" if git["dirty"] else ""
        )
    packages = (f"{name} {version}" for name, version in run["packages"].items() if version)
    cells = run["cells"]
    return _pairs(
        [
            ("last sweep", f"{run['started']} to {run['finished']}, {len(runs)} in all"),
            ("executor", f"{run['executor']}, scale {run['scale']}, seed {run['seed']}"),
            (
                "cells",
                f"{cells['run']} computed, {cells['reused']} reused, {cells['failed']} failed",
            ),
            ("machine", f"{run['platform']}, {run['cpu_count']} cores, Python {run['python']}"),
            ("packages", ", ".join(packages)),
            ("commit", commit),
        ]
    )


# --------------------------------------------------------------------- theorems


def _verdicts(verdicts: dict[str, Any] | None) -> str:
    if not verdicts:
        return _empty(f"No theorem was checked yet. Check them with {_code('mdplib check all')}.")
    rows = [
        (
            f'{_breakable(verdict["id"])}<br><span class="soft">{escape(verdict["source"])}</span>',
            formula_html(verdict["statement"]),
            _outcome(verdict["outcome"]),
            escape(str(verdict["count"])),
            _interval(verdict["interval"]),
            _tightness(verdict),
            _controls(verdict["controls"]),
        )
        for verdict in verdicts["verdicts"]
    ]
    heads = ("Theorem", "Statement", "Outcome", "Count", "Interval", "Tightness", "Controls")
    note = (
        '<p class="soft">Tightness: the largest ratio of the left to the right side. '
        "Controls: the tightest known instance must be as tight as promised, a "
        "broken copy of the statement must come out VIOLATED, and an instance outside a hypothesis "
        "NOT_APPLICABLE.</p>"
    )
    return note + _table(heads, rows)


def _tightness(verdict: dict[str, Any]) -> str:
    """Return the largest lhs / rhs on random instances, and that of the tight instance below."""
    text = _number(verdict["tightness"])
    if verdict.get("tightest") is None:
        return text
    return f'{text}<br><span class="soft">tight instance {_number(verdict["tightest"])}</span>'


def _controls(controls: list[dict[str, Any]]) -> str:
    """Return a count when all controls came out as they must, else those that did not."""
    bad = [control for control in controls if not control["ok"]]
    if not bad:
        return f'<span class="good">✓</span> all {len(controls)}'
    return "<br>".join(
        f'<span class="bad">✗</span> {escape(c["name"])}: {escape(c["outcome"])}' for c in bad
    )


# ----------------------------------------------------------------------- pieces


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are HTML already. On a phone each row becomes a card."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(head)}"><span>{cell}</span></td>'
            for head, cell in zip(heads, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    return f"<dl>{lines}</dl>"


def _empty(html: str) -> str:
    return f'<p class="empty">{html}</p>'


def _breakable(name: str) -> str:
    """Return an identifier that a narrow column may break at its joints."""
    return "<code>" + re.sub("([:_])", r"\1<wbr>", escape(name)) + "</code>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _outcome(name: str) -> str:
    return (
        f'<span class="outcome {_TONE.get(name, "open")}">{escape(name.replace("_", " "))}</span>'
    )


def _number(value: Any) -> str:
    value = restore(value)
    return (
        "–" if value is None else escape(f"{value:.3g}" if isinstance(value, float) else str(value))
    )


def _interval(interval: dict[str, Any] | None) -> str:
    if not interval:
        return "–"
    low, high = _number(interval["low"]), _number(interval["high"])
    how = f"{100 * interval['confidence']:g} %, {interval['method']}, n = {interval['n']}"
    middle = _number(interval["estimate"])
    return f'{middle} [{low}, {high}]<br><span class="soft">{escape(how)}</span>'
