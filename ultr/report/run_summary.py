"""The sentences at the top of a report, for somebody who knows search but not this literature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ultr.report.gather import Gathered

_STATES = {
    "swaps": "The log shows the same documents at different ranks often enough to tell the effect "
    "of the rank from that of the document, so the correction rests on evidence.",
    "features only": "The log hardly ever shows a document at two ranks. The correction is "
    "extrapolated from similar documents; a small share of shuffled results would confirm it.",
    "none": "The log does not tell the effect of the rank from that of the document. Do not rely "
    "on this correction before results were shown at varied ranks.",
}


def headline(found: Gathered) -> str:
    """The one sentence to take away."""
    if _rests_on(found) == "none":
        return "This log does not tell position bias from relevance: do not rely on the correction."
    lift = found.evaluation.get("pages_clicks_lift")
    logged = found.evaluation.get("pages_clicks_logged")
    if lift is None or not logged:
        return _bias(found) or f"A ranker was trained by {found.method}."
    low = found.evaluation["pages_clicks_lift_low"]
    high = found.evaluation["pages_clicks_lift_high"]
    share = f"{abs(lift) / logged:.0%}"
    if low > 0:
        return f"The same pages in the new order would have been clicked about {share} more."
    if high < 0:
        return f"The same pages in the new order would have been clicked about {share} less."
    return "In the new order the same pages would have been clicked about as often as before."


def _rests_on(found: Gathered) -> str:
    """What identifies the run's curve, as training found it; empty where it learned none."""
    if found.method not in ("dla", "upe"):
        return ""
    return str((found.summary.get("identification") or {}).get("state", ""))


def paragraphs(found: Gathered) -> list[str]:
    """What stands below the headline."""
    said = [_bias(found) if found.evaluation.get("pages_clicks_lift") is not None else ""]
    said.append(_STATES.get(found.diagnosis.state, "") if found.diagnosis else "")
    said += [_worth(found), _grades(found), _warnings(found)]
    if "lake" in found.missing:
        said.append(f"Only what the run itself knows is shown. {found.missing['lake']}")
    return [s for s in said if s]


def _bias(found: Gathered) -> str:
    position = found.propensities["position"].to_pylist()
    values = found.propensities["propensity"].to_pylist()
    if found.method == "naive" or len(position) < 2 or _rests_on(found) == "none":
        return ""
    last = values[-1] / values[0]
    if last > 0.95:
        return f"Rank {position[-1]} is looked at about as often as rank {position[0]}."
    return (
        f"Rank {position[-1]} is looked at {_times(last)} as often as rank {position[0]}, whatever "
        "stands there; clicks were corrected for that."
    )


def _times(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _worth(found: Gathered) -> str:
    e = found.evaluation
    if "pages_clicks_lift" not in e:
        return ""
    words = (
        f"Reordering the logged pages of held-out queries changes clicks per page from "
        f"{e['pages_clicks_logged']:.2f} to {e['pages_clicks_dr']:.2f} "
        f"({_interval(e, 'pages_clicks_dr')}), estimated from clicks alone."
    )
    if "candidates_clicks_dr" in e:
        words += (
            f" Ranking all candidates anew, {e['candidates_clicks_dr']:.2f} "
            f"({_interval(e, 'candidates_clicks_dr')})."
        )
    return words


def _grades(found: Gathered) -> str:
    if "ndcg@10" not in found.evaluation:
        return ""
    words = (
        f"On {found.evaluation['n_queries']:,} test queries with relevance grades its nDCG@10 is "
        f"{found.evaluation['ndcg@10']:.3f}."
    )
    own = [c for c in found.compared if c.metric == "ndcg@10" and c.run == str(found.run)]
    if own and found.compared[0].run != str(found.run):
        base, mine = found.compared[0].run, own[0]
        words += (
            f" That is {mine.difference:+.3f} against {base.rsplit('/', 1)[-1]} "
            f"(95% interval {mine.low:+.3f} to {mine.high:+.3f})."
        )
    return words


def _warnings(found: Gathered) -> str:
    if found.diagnosis is None:
        return ""
    bad = [f for f in found.diagnosis.findings if f.severity in ("warning", "problem")]
    if not bad:
        return "Nothing in the log speaks against this result."
    return f"{_count(bad)} to look at before relying on this: " + " ".join(
        f.meaning for f in bad[:3]
    )


def _count(bad: Sequence[Any]) -> str:
    return "One thing" if len(bad) == 1 else f"{len(bad)} things"


def _interval(values: Any, name: str) -> str:
    return f"{values[f'{name}_low']:.2f} to {values[f'{name}_high']:.2f}"
