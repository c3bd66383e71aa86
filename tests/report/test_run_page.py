"""The report of a run: sentences follow the numbers, what is missing is said, text is escaped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.report.pages import check_page, needs_chromium, rendered
from ultr.diagnose.bootstrap import Curve
from ultr.diagnose.finding import Finding
from ultr.diagnose.result import Curves, Diagnosis
from ultr.eval.compare import Compared
from ultr.report.gather import Gathered
from ultr.report.page import JOINER
from ultr.report.run_page import run_page
from ultr.report.run_summary import headline, paragraphs

EVIL = "<script>alert(1)</script>"


def curve(*values):
    v = np.array(values)
    return Curve(v, v - 0.01, v + 0.01, np.zeros(len(v)))


def estimates(where, logged, new, half=0.05):
    out = {}
    for metric in ("clicks", "dcg"):
        values = {"logged": logged, "snips": new, "dr": new, "lift": new - logged}
        for what, value in values.items():
            name = f"{where}_{metric}_{what}"
            out |= {name: value, f"{name}_low": value - half, f"{name}_high": value + half}
    return out | {f"{where}_support": 0.9, f"{where}_effective_sample_size": 1234.0}


@pytest.fixture
def found():
    return Gathered(
        run=Path("runs/dla"),
        method="dla",
        settings={"method": "dla", "hidden": [64, 32], "seed": 0},
        summary={"sessions": 1000, "seconds": 2.0, "sessions_per_second": 5000.0},
        propensities=pa.table({"position": [1, 2, 3], "propensity": [1.0, 0.6, 0.3]}),
        metrics=[{"phase": "joint", "weight_decay": 1.0, "click_nll_listwise": v}
                 for v in (1.9, 1.8, 1.85)],
        evaluation={
            "queries": "test", "gain": "exponential", "n_queries": 40,
            "n_queries_without_relevant": 3, "ndcg@10": 0.7654, "err@10": 0.4,
            "n_queries_head": 10, "ndcg@10_head": 0.81, "n_queries_tail": 30, "ndcg@10_tail": 0.7,
            **estimates("pages", 1.0, 1.25),
            "candidates_support": 0.2,
            "candidates_refused": "the log shows 20% of what the new ranking would show",
        },
        per_query=pa.table({"query_id": [1, 2], "query": ["jax", EVIL], "ndcg@10": [0.5, 0.9],
                            "n_relevant": [1, 2], "n_documents": [3, 4], "sessions": [5, 6]}),
        compared=[
            Compared("runs/naive", "ndcg@10", 40, 0.75, 0.0, 0.0, 0.0, 1.0),
            Compared("runs/dla", "ndcg@10", 40, 0.7654, 0.0154, 0.01, 0.02, 0.0012),
        ],
        diagnosis=Diagnosis(
            "swaps",
            (Finding("rejects", "ok", "All lines could be used."),
             Finding("swap_coverage", "warning", f"Few swaps {EVIL}.", "Show varied pages.")),
            Curves(curve(1, 0.5, 0.2), {"all_pairs": curve(1, 0.61, 0.31)}),
        ),
        rows={"sessions": 1000, "rejects": 7},
        rejects={"no query": 7},
        sources={f"log{EVIL}.tsv": {"format": "yandex", "sessions": 1000}},
        lake={"root": "lake", "version": 3, "lists": {"sessions": 1000, "settings": {}}},
    )  # fmt: skip


def page(found):
    return run_page(found, version="0")


def test_the_page_is_whole_and_needs_nothing_else(found):
    check_page(page(found))


def test_numbers_are_there(found):
    html = page(found).replace(JOINER, "")
    for value in ("0.300", "0.310 (0.300–0.320)", "0.7654", "+0.0154", "0.0012", "1,234",
                  "1.250 (1.200–1.300)", "1.8000", "no query", "0.8100"):  # fmt: skip
        assert value in html, value


def test_text_from_the_log_is_shown_and_never_run(found):
    html = page(found)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_what_is_refused_is_said_with_the_reason(found):
    assert "the log shows 20% of what" in page(found)


def test_the_headline_follows_the_lift(found):
    def with_lift(new):
        return headline(replace(found, evaluation=estimates("pages", 1.0, new)))

    assert "25% more" in with_lift(1.25)
    assert "20% less" in with_lift(0.8)
    assert "about as often" in with_lift(1.01)
    unsure = dict(found.summary) | {"identification": {"state": "none"}}
    assert "do not rely" in headline(replace(found, summary=unsure))
    bare = replace(found, evaluation={})
    assert "Rank 3 is looked at 30% as often as rank 1" in headline(bare)
    assert headline(replace(bare, method="naive")) == "A ranker was trained by naive."


def test_warnings_are_in_the_summary(found):
    assert any("One thing to look at" in p for p in paragraphs(found))
    fine = replace(found, diagnosis=replace(found.diagnosis, findings=()))
    assert any("Nothing in the log speaks against" in p for p in paragraphs(fine))


@pytest.mark.parametrize(
    ("state", "words"),
    [("swaps", "rests on evidence"), ("features only", "extrapolated"), ("none", "Do not rely")],
)
def test_the_state_is_told_in_words(found, state, words):
    told = replace(found, diagnosis=replace(found.diagnosis, state=state))
    assert any(words in p for p in paragraphs(told))


def test_a_run_alone_is_still_a_page(found):
    """The lake is gone: nothing can be evaluated, and the page says so."""
    alone = Gathered(
        run=found.run, method="dla", settings=found.settings, summary=found.summary,
        propensities=found.propensities, metrics=(), missing={"lake": "no lake at x"},
    )  # fmt: skip
    html = page(alone)
    check_page(html)
    assert html.count("no lake at x") >= 3
    assert "0.600" in html


def test_curves_of_contexts_are_drawn_apart(found):
    contexts = pa.table({
        "position": [1, 2, 1, 2], "propensity": [1.0, 0.6, 1.0, 0.4],
        "device": ["desktop", "desktop", EVIL, EVIL],
    })  # fmt: skip
    html = page(replace(found, propensities=contexts))
    check_page(html)
    assert "device desktop" in html
    assert "0.400" in html


@needs_chromium
def test_a_browser_renders_it(found, tmp_path):
    dom = rendered(page(found), tmp_path)
    assert dom.count("<svg") >= 3
    assert "alert(1)" in dom
