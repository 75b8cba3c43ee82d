"""The page of results, the claims, and statements as HTML."""

import json
import re
from html.parser import HTMLParser

import pytest

from bounds.catalogue import CATALOGUE
from experiments.claims import Claim, judge, judged, read_claims
from experiments.engine.cells import Analysis, Drawing, key
from experiments.engine.store import Store
from experiments.engine.sweep import sweep
from experiments.formula import formula_html
from experiments.publish import publish
from experiments.report import page, write_report
from experiments.style import panels
from mdplib.errors import MdplibError
from mdplib.statistics import Interval
from tests.experiments.toy import Cell, toy

EVIL = '<script>alert("x")</script>&'


class Tags(HTMLParser):
    """Collects tags and text, and checks that tags are closed in order."""

    VOID = ("meta", "br", "img", "link", "wbr")

    def __init__(self, html):
        super().__init__()
        self.open, self.seen, self.words, self.links = [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def interval(low, middle, high):
    return Interval(low, middle, high, 0.95, EVIL, 9)


def analyse(finished):
    return Analysis({}, {"noise": interval(0.4, 0.5, float("inf"))})


def draw(analysis):
    figure, _ = panels()
    yield Drawing("fig", figure, {"caption": f"Figure {EVIL}"})


@pytest.fixture
def published(tmp_path):
    (tmp_path / "expected.toml").write_text(
        f"""[[claim]]
name = "noise"
quantity = '{EVIL}'
relation = "at least"
value = 0.1
tolerance = 0.0
source = '{EVIL}'
[[claim]]
name = "absent"
quantity = "absent"
relation = "equals"
value = 0.1
tolerance = 0.01
source = "nowhere"
"""
    )
    experiment = toy(analyse=analyse, draw=draw, expected=str(tmp_path / "expected.toml"))
    results = tmp_path / "results"
    sweep(experiment, "smoke", results)
    publish(experiment, "smoke", results)
    verdict = {
        "id": EVIL,
        "statement": f"${EVIL}$ {EVIL}",
        "source": EVIL,
        "outcome": "HOLDS",
        "count": EVIL,
        "interval": interval(0.0, 0.1, 0.2).to_dict(),
        "tightness": 0.5,
        "controls": [{"name": EVIL, "outcome": "HOLDS", "wanted": "VIOLATED", "ok": False}],
    }
    (results / "verdicts.json").write_text(json.dumps({"verdicts": [verdict]}))
    return results


def test_everything_is_escaped(published):
    html = page(published, {"toy": f"A toy {EVIL}"})
    tags = Tags(html)
    assert "script" not in tags.seen
    text = "".join(tags.words)
    assert text.count('alert("x")') >= 8


def test_mutant_without_escaping_is_caught(published, monkeypatch):
    monkeypatch.setattr("experiments.report.escape", lambda text: text)
    with pytest.raises(AssertionError):
        test_everything_is_escaped(published)


def test_page_is_self_contained_and_its_links_exist(published):
    path = write_report(published, {"toy": "A toy"})
    links = [link for link in Tags(path.read_text()).links if not link.startswith("#")]
    assert {"toy/figures/fig.pdf", "toy/figures/fig.png", "toy/figures/fig.json"} == set(links)
    assert all((published / link).is_file() for link in links)


def test_page_shows_claims_verdicts_and_provenance(published):
    text = " ".join(Tags(page(published, {"toy": "A toy"})).words)
    for part in (
        "agree",
        "unknown",
        "HOLDS",
        "seed 7",
        "4 computed",
        "numpy",
        "scale smoke",
        "inf]",
    ):
        assert part in text, part


def test_missing_parts_are_said_to_be_missing(tmp_path):
    text = " ".join(Tags(page(tmp_path, {"toy": "A toy"})).words)
    assert "No rows yet" in text
    assert "No theorem was checked yet" in text


def test_incomplete_sweep_is_said_to_be_incomplete(published):
    Store(published / "toy").path("rows", key(toy(), Cell(1, "a"))).unlink()
    publish(toy(analyse=analyse, draw=draw), "smoke", published)
    text = " ".join(Tags(page(published, {"toy": "A toy"})).words)
    assert "3 of 4 cells" in text
    assert "not complete" in text
    assert "makes no claims" in text


def test_report_refuses_another_layout(tmp_path):
    (tmp_path / "schema.json").write_text('{"schema": 0}')
    with pytest.raises(MdplibError, match="layout version 0"):
        write_report(tmp_path, {})


# -------------------------------------------------------------------- judgement


@pytest.mark.parametrize(
    ("relation", "limits", "wanted"),
    [
        ("equals", (0.95, 1.05), "agree"),
        ("equals", (0.95, 1.2), "unknown"),
        ("equals", (1.11, 1.2), "differs"),
        ("at most", (-9.0, 1.1), "agree"),
        ("at most", (1.0, 1.2), "unknown"),
        ("at most", (1.11, 1.2), "differs"),
        ("at least", (0.9, 9.0), "agree"),
        ("at least", (0.8, 1.0), "unknown"),
        ("at least", (0.7, 0.89), "differs"),
    ],
)
def test_judgement(relation, limits, wanted):
    claim = Claim("x", "x", relation, 1.0, 0.1, "s")
    low, high = limits
    assert judge(claim, Interval(low, (low + high) / 2, high, 0.95, "m", 3)) == wanted


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[[claim", "not TOML"),
        ('[[claim]]\nname = "x"', "claim 0"),
        (
            '[[claim]]\nname="x"\nquantity="x"\nrelation="near"\nvalue=1\ntolerance=0\nsource="s"',
            "'near'",
        ),
    ],
)
def test_unfit_claims_are_named(tmp_path, text, match):
    (tmp_path / "expected.toml").write_text(text)
    with pytest.raises(MdplibError, match=match):
        read_claims(tmp_path / "expected.toml")


def test_no_claims():
    assert judged(None, {}) == []


# --------------------------------------------------------------------- formulas


def test_every_statement_of_the_catalogue_is_rendered():
    for entry in CATALOGUE.values():
        html = formula_html(entry.theorem.statement)
        Tags(html)
        assert not re.search(r"[\\{}$_^]", html), html


@pytest.mark.parametrize(
    ("latex", "html"),
    [
        (r"$\frac{1}{1-\gamma}$", "1/(1 − γ)\u2009"),
        (r"$V^{\hat\pi}_0$", "<i>V</i><sup>π\u0302</sup><sub>0</sub>"),
        (r"$\hat P$", "<i>P\u0302</i>"),
        (r"$\max_k x$", "max<sub><i>k</i></sub>\u2009<i>x</i>"),
        (r"$a<b$ <b>", "<i>a</i> &lt; <i>b</i> &lt;b&gt;"),
        (r"$\unknown$", r"\unknown"),
        (r"$x^{n$", "<i>x</i><sup><i>n</i></sup>"),
    ],
)
def test_formulas(latex, html):
    assert formula_html(latex) == html


def test_the_tenth_figure_follows_the_ninth(tmp_path):
    from experiments.report import _figures

    folder = tmp_path / "toy" / "figures"
    folder.mkdir(parents=True)
    for name in ("10-last", "2-second", "plain"):
        (folder / f"{name}.json").write_text("{}")
    text = _figures(tmp_path / "toy")
    assert text.index("plain.pdf") < text.index("2-second.pdf") < text.index("10-last.pdf")
