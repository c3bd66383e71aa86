"""Click metrics of a run on the held-out sessions of a lake."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.errors import DataError
from ultr.eval.clicks import bernoulli_nll, listwise_nll, perplexity
from ultr.eval.run import Known, RunLike


class HeldOut(NamedTuple):
    """Sessions to evaluate on.

    Attributes:
        lists: with positions that the run knows.
        n_left_out: sessions with others.
        n_clicks: of all of them.
        by: what they were held out by, `query` or `session`.
    """

    lists: Lists
    n_left_out: int
    n_clicks: float
    by: str


def held_out_lists(run: RunLike, data: Lists, *, split: str) -> HeldOut:
    """The sessions of a split, held out as in training.

    By query for rankers on features, by session for rankers with a parameter per pair, which know
    nothing of an unseen query.
    """
    by = run.config.get("selected_by", "query" if run.config["reads"] == "features" else "session")
    held_out = data if split == "all" else data.split(split, by=by)
    is_seen = np.isin(held_out.position, run.propensities["position"].to_numpy())
    is_seen &= run.knows_context(held_out)
    is_known = np.asarray((is_seen | ~held_out.where).all(axis=1))
    n_left_out = int(held_out.sessions[~is_known].sum())
    lists = held_out.select(is_known) if n_left_out else held_out
    return HeldOut(lists, n_left_out, float(held_out.clicks.sum()), by)


def click_metrics(run: RunLike, data: Lists, *, split: str) -> dict[str, Any]:
    """Click likelihood of the held-out sessions of a split; empty where none has a click.

    They are held out as in training: by query for rankers on features, by session for rankers
    with a parameter per pair, which know nothing of an unseen query. Sessions with a position or a
    bias context that training never saw are left out and counted: the run has no propensity there.

    Args:
        run: the run.
        data: all lists of a lake.
        split: train, validation, test or all.

    Raises:
        DataError: no session with a click has only positions of the run, or no document is known
            to a ranker with a parameter per pair.
    """
    chosen = held_out_lists(run, data, split=split)
    held_out, n_left_out = chosen.lists, chosen.n_left_out
    if not chosen.n_clicks:
        return {}
    clicks = held_out.clicks.astype(np.float64)
    if not clicks.sum():
        raise DataError(
            "the run must have learned from the positions of the held-out sessions",
            got=f"all {n_left_out:,} sessions with positions that {run.root} never saw",
            hint="train on this lake, or evaluate on the one of training",
        )
    known = Known(run)
    known.add(held_out.query_id[held_out.doc_query], held_out.doc_id)
    out: dict[str, Any] = known.report(held_out.lake.get("root", "these lists"))
    f, g = run.list_logits(held_out)
    listwise = listwise_nll(f, g, clicks=clicks, where=held_out.where)
    out["click_nll_listwise"] = float(listwise.sum() / clicks.sum())
    if run.config.get("predicts_probability"):
        out |= _per_impression(f + g, held_out)
    out["n_sessions"] = int(held_out.sessions.sum())
    if n_left_out:
        out["n_sessions_of_unknown_positions"] = n_left_out
    # Of all sessions nothing is held out, and the result must not say so.
    return out if split == "all" else out | {"held_out_by": chosen.by}


def _per_impression(logits: NDArray[np.float32], data: Lists) -> dict[str, float]:
    weight = data.weight.astype(np.float64)
    nll = bernoulli_nll(logits, clicks=data.clicks, weight=weight, where=data.where)
    ranks = perplexity(nll, position=data.position, weight=weight, where=data.where)
    impressions = (data.where.sum(axis=1) * weight).sum()
    return {
        "click_nll": float(nll.sum() / impressions),
        "perplexity": float(np.nanmean(ranks)),
        **{f"perplexity@{k}": float(p) for k, p in enumerate(ranks, 1) if np.isfinite(p)},
    }
