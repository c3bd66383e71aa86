"""The demo's page: words follow the numbers, text is escaped, figures and tables agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ultr.report import Findings, Method, demo_page

TRUTH = (1.0, 0.7, 0.4)


def method(name, ndcg, propensities, difference=None):
    metrics = {
        "ndcg@1": ndcg - 0.02, "ndcg@5": ndcg - 0.01, "ndcg@10": ndcg, "err@10": 0.5, "mrr": 0.9,
        "click_nll_listwise": 1.7, "n_queries": 40,
        "propensity_rmse": float(np.sqrt(np.mean((np.array(propensities) - TRUTH) ** 2))),
    }  # fmt: skip
    training = {"best_epoch": 7, "epochs": 9, "seconds": 2.5}
    return Method(name, f"label of {name}", metrics, propensities, training, difference)


@pytest.fixture
def findings():
    return Findings(
        truth=TRUTH,
        naive=method("naive", 0.7, (1.0, 1.0, 1.0)),
        dla=method("dla", 0.78, (1.0, 0.71, 0.41), (0.08, 0.05, 0.11)),
        ipw=method("ipw", 0.8, TRUTH, (0.1, 0.07, 0.13)),
        seen_at_several=0.9,
    )


def render(findings, **changes):
    given = {
        "counts": [("lines read", "1,234")], "stages": [("simulate", 1.5)],
        "settings": {"clicks": "PBM"}, "files": {"lake": "demo/lake"}, "again": "ultr demo",
        "version": "0",
    }  # fmt: skip
    return demo_page(findings, **given | changes)


class Balanced(HTMLParser):
    """Fails on a tag that is closed but not open."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(findings):
    html = render(findings)
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "<script" not in html
    assert not re.search(r'(src|href)="http', html)
    assert html.count("<svg") >= 2
    assert html.count("<title") >= 3  # the page's and each figure's


def test_figures_and_tables_hold_the_same_numbers(findings):
    html = render(findings)
    for value in ("0.700", "0.780", "0.800", "0.710", "0.410", "1,234"):
        assert value in html


def test_the_headline_follows_the_result(findings):
    worse = replace(findings, dla=method("dla", 0.6, (1.0, 0.71, 0.41), (-0.1, -0.12, -0.08)))
    missed = replace(findings, dla=method("dla", 0.7, (1.0, 1.0, 1.0), (0.0, -0.01, 0.01)))
    headlines = {f.headline() for f in (findings, worse, missed)}
    assert len(headlines) == 3
    assert "made the ranking better" in findings.headline()
    assert "made the ranking better" not in worse.headline() + missed.headline()
    assert "was found" not in missed.headline()


def test_more_than_the_whole_gap_is_all_of_it(findings):
    better = replace(findings, dla=method("dla", 0.85, TRUTH, (0.15, 0.1, 0.2)))
    html = render(better)
    assert "closes all of that gap" in html
    assert "150%" not in html


def test_text_is_escaped(findings):
    evil = "<script>alert(1)</script>"
    named = replace(findings, dla=replace(findings.dla, label=evil))
    html = render(
        named, files={"lake": "lake", evil: evil}, counts=[(evil, evil)], settings={evil: evil}
    )
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_renders_it(findings, tmp_path):
    (tmp_path / "page.html").write_text(render(findings), encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--enable-logging=stderr"
    )
    done = subprocess.run(
        ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<svg") >= 2
    assert done.stdout.count("<table") >= 3
