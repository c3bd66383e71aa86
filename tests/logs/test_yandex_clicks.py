"""The quick way to a click's page gives what the rule gives, whatever the order of the lines."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ultr.logs import yandex, yandex_clicks

URLS = "abcd"
PAGE = st.tuples(st.integers(1, 3), st.integers(0, 6), st.lists(st.sampled_from(URLS), min_size=3,
                                                                max_size=3))  # fmt: skip
CLICK = st.tuples(st.integers(1, 3), st.integers(0, 6), st.sampled_from(URLS))


def by_hand(lines):
    """(line of the page, place) of each click line, or None."""
    pages = [(session, time, n, urls) for n, (session, time, urls) in enumerate(lines, 1)
             if isinstance(urls, list)]  # fmt: skip
    found = {}
    for n, (session, time, url) in enumerate(lines, 1):
        if isinstance(url, list):
            continue
        fits = [(t, m, urls.index(url)) for s, t, m, urls in pages
                if s == session and (t, m) <= (time, n) and url in urls]  # fmt: skip
        found[n] = max(fits)[1:] if fits else None
    return found


def written(lines):
    return "".join(
        f"{s}\t{t}\tQ\t7\t0\t" + "\t".join(what) + "\n"
        if isinstance(what, list)
        else f"{s}\t{t}\tC\t{what}\n"
        for s, t, what in lines
    )


@pytest.mark.parametrize("is_quick", [True, False])
@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(lines=st.lists(st.one_of(PAGE, CLICK), min_size=1, max_size=14), is_sorted=st.booleans())
def test_a_click_goes_where_the_rule_says(tmp_path, is_quick, lines, is_sorted):
    lines = sorted(lines, key=lambda line: line[:2]) if is_sorted else lines
    lines = [*lines, (9, 0, list("abc"))]  # a click may stand before the first page
    path = tmp_path / "log"
    path.write_text(written(lines))
    with pytest.MonkeyPatch.context() as patch:
        if not is_quick:
            patch.setattr(yandex_clicks, "_QUICK_PLACES", 0)
        (chunk,) = yandex.read(path)
    expected = by_hand(lines)
    clicked = {(page["ordinal"], place) for page in chunk.pages.iter_rows(named=True)
               for place, click in enumerate(page["click"]) if click}  # fmt: skip
    assert clicked == {where for where in expected.values() if where}
    unmatched = [n for n, where in expected.items() if where is None]
    lost = chunk.events.filter(pl.col("state") == "unattached")
    assert sorted(lost["line"]) == unmatched
    assert chunk.used + chunk.repeated == len(lines)
