"""Click metrics of a run on the held-out sessions of a lake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.eval.clicks import bernoulli_nll, listwise_nll, perplexity
from ultr.eval.run import RunLike


def click_metrics(run: RunLike, data: Lists, *, split: str) -> dict[str, Any]:
    """Click likelihood of the held-out sessions of a split; empty where none has a click.

    They are held out as in training: by query for rankers on features, by session for rankers
    with a parameter per pair, which know nothing of an unseen query.

    Args:
        run: the run.
        data: all lists of a lake.
        split: train, validation, test or all.
    """
    by = run.config.get("selected_by", "query" if run.config["reads"] == "features" else "session")
    held_out = data if split == "all" else data.split(split, by=by)
    clicks = held_out.clicks.astype(np.float64)
    if not clicks.sum():
        return {}
    f, g = run.list_logits(held_out)
    listwise = listwise_nll(f, g, clicks=clicks, where=held_out.where)
    out: dict[str, Any] = {"click_nll_listwise": float(listwise.sum() / clicks.sum())}
    if run.config.get("predicts_probability"):
        out |= _per_impression(f + g, held_out)
    out["n_sessions"] = int(held_out.sessions.sum())
    # Of all sessions nothing is held out, and the result must not say so.
    return out if split == "all" else out | {"held_out_by": by}


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
