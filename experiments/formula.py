r"""Statements as HTML: the small part of LaTeX that theorems are written in.

Text with formulas between dollar signs becomes text with italics, subscripts and superscripts,
which every browser shows without scripts or fonts.
"""

from __future__ import annotations

import re
from html import escape

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.S)
_SYMBOLS = {
    r"\|": "‖",
    r"\le": " ≤ ",
    r"\ge": " ≥ ",
    r"\infty": "∞",
    r"\sum": "∑",
    r"\cdot": "·",
    r"\circ": "∘",
    r"\pi": "π",
    r"\tau": "τ",
    r"\eta": "η",
    r"\lfloor": "⌊",
    r"\rfloor": "⌋",
    r"\mu": "μ",
    r"\rho": "ρ",
    r"\sigma": "σ",
    r"\lambda": "λ",
    r"\omega": "ω",
    r"\theta": "θ",
    r"\beta": "β",
    r"\zeta": "ζ",
    r"\Theta": "Θ",
    r"\Omega": "Ω",
    r"\Phi": "Φ",
    r"\langle": "⟨",
    r"\rangle": "⟩",
    r"\chi": "χ",
    r"\phi": "φ",
    r"\nu": "ν",
    r"\epsilon": "ϵ",
    r"\Lambda": "Λ",
    r"\top": "⊤",
    r"\partial": "∂",
    r"\in": " ∈ ",
    r"\succeq": " ⪰ ",
    r"\gamma": "γ",
    r"\delta": "δ",
    r"\varepsilon": "ε",
    r"\log": "log ",
    r"\max": "max ",
    r"\min": "min ",
    r"\lim": "lim ",
    r"\sup": "sup ",
    r"\inf": "inf ",
    r"\,": " ",
    r"\left": "",
    r"\right": "",
    "=": " = ",
    "<": " &lt; ",
    ">": " &gt; ",
    "+": " + ",
    "-": " − ",
    "*": "∗",
    "'": "′",
    ",": ", ",
    " ": "",
}
_COMBINING = {r"\hat": "\u0302", r"\tilde": "\u0303"}


def formula_html(text: str) -> str:
    r"""Return a statement as HTML, everything escaped.

    Parameters
    ----------
    text : str
        Words, and formulas between dollar signs.

    Returns
    -------
    str
        An unknown command is shown as it was written.

    Examples
    --------
    >>> formula_html(r"If $\|V\|_\infty \le 1$ & so on")
    'If ‖<i>V</i>‖<sub>∞</sub> ≤ 1 &amp; so on'
    """
    parts = text.split("$")
    return "".join(
        _render(_TOKEN.findall(part)) if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def _render(tokens: list[str], tight: bool = False) -> str:
    """Render tokens; `tight` drops the blanks around signs, as in exponents."""
    out, rest = [], list(tokens)
    while rest:
        token = rest.pop(0)
        if token == "{":
            out.append(_render(_group(["{", *rest], rest), tight))
        elif token in "_^":
            tag = "sub" if token == "_" else "sup"
            out.append(f"<{tag}>{_render(_group(rest, rest), True)}</{tag}>")
        elif token == r"\frac":
            above = _render(_group(rest, rest), tight)
            below = _render(_group(rest, rest), tight)
            out.append(f"{_wrapped(above)}/{_wrapped(below)}\u2009")
        elif token == r"\sqrt":
            out.append(f"√({_render(_group(rest, rest), tight)})")
        elif token == r"\mathrm":
            out.append(escape("".join(_group(rest, rest))))
        elif token in _COMBINING:
            inner = _render(_group(rest, rest), tight)
            out.append(re.sub(r"(\w)(</i>)?$", rf"\1{_COMBINING[token]}\2", inner))
        elif token in _SYMBOLS:
            out.append(_SYMBOLS[token].strip() if tight else _SYMBOLS[token])
        else:
            out.append(f"<i>{token}</i>" if token.isalpha() else escape(token))
    html = re.sub(" +", " ", "".join(out))
    return re.sub(r" <sub>(.*?)</sub>", "<sub>\\1</sub>\u2009", html)  # max over, not max of


def _group(tokens: list[str], rest: list[str]) -> list[str]:
    """Return the next argument, a braced group or one token; `rest` keeps what follows."""
    queue = list(tokens)
    while queue and queue[0] == " ":
        queue.pop(0)
    depth, taken = 0, []
    while queue:
        token = queue.pop(0)
        depth += (token == "{") - (token == "}")
        taken.append(token)
        if depth == 0:
            break
    rest[:] = queue
    if taken[:1] != ["{"]:
        return taken
    return taken[1:-1] if depth == 0 else taken[1:]


def _wrapped(html: str) -> str:
    """Put parentheses around anything but a single symbol."""
    bare = re.sub("<[^>]+>", "", html)
    return html if len(bare) <= 1 or bare.isdigit() else f"({html})"
