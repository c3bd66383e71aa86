"""The demo's page: words follow the numbers, text is escaped, figures and tables agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.report.pages import check_page, needs_chromium, rendered
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


def test_the_page_is_whole_and_needs_nothing_else(findings):
    html = render(findings)
    check_page(html)
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


@needs_chromium
def test_a_browser_renders_it(findings, tmp_path):
    dom = rendered(render(findings), tmp_path)
    assert dom.count("<svg") >= 2
    assert dom.count("<table") >= 3
