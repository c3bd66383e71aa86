"""Evaluation without labels: click probabilities, and the worth of the new ranking, from a log.

Two new rankings are valued against the logged one. `pages` puts the documents of each logged page
into another order, which the log always supports. `candidates` ranks all candidates of a query, as
the ranker will; what the log never showed is then a guess of the model, and where that is much, no
number is given.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.eval.attraction import Attraction, fit_attraction
from ultr.eval.clicks import bernoulli_nll, perplexity
from ultr.eval.counterfactual import Pairs, estimate
from ultr.eval.documents import candidate_tables, lake_features
from ultr.eval.held_out import held_out_lists
from ultr.eval.places import ranks, reranked
from ultr.eval.run import RunLike
from ultr.lake import Lake
from ultr.train.propensities import read_propensities

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Ints = NDArray[np.integer[Any]]

MIN_SUPPORT = 0.5
"""Share of the new ranking that the log must have shown for a value to be given."""


@dataclass(frozen=True)
class Curve:
    """Examination by position, relative to the first.

    Args:
        propensity: `[P + 1]`, at index k of position k.
    """

    propensity: Floats

    def __call__(self, position: Ints) -> Floats:
        """θ of positions, 0 for 0 (masked) and for those it does not know."""
        known = np.where(position < len(self.propensity), position, 0)
        return np.asarray(self.propensity[known])

    @classmethod
    def of(cls, position: Ints, propensity: Floats) -> Curve:
        """Of parallel arrays; where a position stands several times (contexts), their mean."""
        size = int(position.max(initial=0)) + 1
        count = np.bincount(position, minlength=size)
        total = np.bincount(position, propensity, size)
        return cls(np.where(np.arange(size) > 0, total / np.maximum(count, 1), 0.0))


def examination_curve(run: RunLike, data: Lists, *, given: Path | None) -> Curve | None:
    """The run's curve, or the one of a file; None for methods that know of no examination.

    Raises:
        DataError: a file that cannot be read, or lacks positions of the log.
    """
    if given is not None:
        position = np.unique(data.position[data.where])
        values = read_propensities(given, cells=position[:, None])
        return Curve.of(np.arange(1, len(values) + 1), values)
    if run.config.get("settings", {}).get("method") == "naive":
        return None
    table = run.propensities
    return Curve.of(table["position"].to_numpy(), table["propensity"].to_numpy())


def calibrated(
    f: NDArray[np.float32], data: Lists, *, curve: Curve, attraction: Attraction
) -> dict[str, float]:
    """Likelihood and perplexity per impression of `P(c) = θ σ(a + b f)`.

    Args:
        f: `[L, K]` scores.
        data: the lists.
        curve: θ.
        attraction: the map, fitted on other sessions.
    """
    p = np.clip(curve(data.position) * attraction(f), 1e-9, 1 - 1e-6)
    weight = data.weight.astype(np.float64)
    logits = np.log(p) - np.log1p(-p)
    nll = bernoulli_nll(logits, clicks=data.clicks, weight=weight, where=data.where)
    by_rank = perplexity(nll, position=data.position, weight=weight, where=data.where)
    impressions = (data.where.sum(axis=1) * weight).sum()
    return {
        "click_nll_calibrated": float(nll.sum() / impressions),
        "perplexity_calibrated": float(np.nanmean(by_rank)),
        **{
            f"perplexity_calibrated@{k}": float(v)
            for k, v in enumerate(by_rank, 1)
            if np.isfinite(v)
        },
    }


def attraction_of(f: NDArray[np.float32], data: Lists, *, curve: Curve) -> Attraction:
    """The map from scores to P(click | examined), fitted on these lists."""
    return fit_attraction(
        f, curve(data.position), clicks=data.clicks, weight=data.weight, where=data.where
    )


def new_ranking_values(
    run: RunLike,
    f: NDArray[np.float32],
    data: Lists,
    *,
    lake: Lake,
    curve: Curve,
    attraction: Attraction,
    max_weight: float = 100.0,
) -> dict[str, Any]:
    """Clicks and DCG per session of the new ranking and the logged one, with intervals.

    Args:
        run: the run.
        f: `[L, K]` its scores of the lists.
        data: held-out lists.
        lake: with all candidates of their queries.
        curve: θ.
        attraction: what scores say of γ.
        max_weight: bound on sessions per expected examination.

    Returns:
        Flat. For `R` in pages, candidates and `M` in clicks, dcg: `R_M_logged R_M_snips R_M_dr
        R_M_lift`, each also with `_low` and `_high`; `R_support R_effective_sample_size
        R_clipped_share`. DCG has gain γ, relative to the examination of position 1, and discount
        1 / log2(1 + k). Where the support is below `MIN_SUPPORT`, only `R_support` and `R_refused`.
    """
    logged = _logged(data, curve)
    scores = np.zeros(data.n_documents)
    scores[data.document[data.where]] = f[data.where]
    out: dict[str, Any] = {}
    moved = reranked(f, position=data.position, where=data.where)
    found = {"pages": (logged, attraction(scores), _by_list(data, moved))}
    depth = _usual_length(data)
    key, score, rank = _candidates(run, data, lake=lake, depth=depth)
    found["candidates"] = _joined(
        logged, data, key=key, attraction=attraction(score), rank=rank, own=attraction(scores)
    )
    for name, (sums, model, places) in found.items():
        for metric, worth in (("clicks", curve), ("dcg", _discount)):
            pairs = Pairs(
                query=sums.query,
                clicks=sums.clicks,
                examination=sums.examination,
                attraction=model,
                new=places.mean(worth, sums),
                logged=sums.places.mean(worth, sums),
                sessions=sums.sessions,
            )
            got = estimate(pairs, max_weight=max_weight)
            out[f"{name}_support"] = got.support
            if got.support < MIN_SUPPORT:
                out[f"{name}_refused"] = (
                    f"the log shows {got.support:.0%} of what the new ranking would show, "
                    f"less than {MIN_SUPPORT:.0%}: nobody can tell from it what users would do; "
                    "show the new ranking to some users, or log more varied pages"
                )
                break
            out[f"{name}_effective_sample_size"] = got.effective_sample_size
            out[f"{name}_clipped_share"] = got.clipped_share
            for what, interval in asdict(got).items():
                if isinstance(interval, dict):
                    out[f"{name}_{metric}_{what}"] = interval["value"]
                    out[f"{name}_{metric}_{what}_low"] = interval["low"]
                    out[f"{name}_{metric}_{what}_high"] = interval["high"]
    return out


@dataclass(frozen=True)
class _Places:
    """Where pairs stand: `[M]` rows of pair, position and in how many sessions."""

    pair: Longs
    position: Ints
    sessions: Floats

    def mean(self, worth: Any, sums: _Sums) -> Floats:
        """`[N]` mean worth of the places of each pair, over the sessions of its query."""
        total = np.bincount(self.pair, worth(self.position) * self.sessions, len(sums.query))
        return np.asarray(total / np.maximum(sums.sessions[sums.query], 1e-12))


@dataclass(frozen=True)
class _Sums:
    query: Longs
    clicks: Floats
    examination: Floats
    sessions: Floats
    places: _Places


def _discount(position: Ints) -> Floats:
    return np.where(position > 0, 1 / np.log2(1 + np.maximum(position, 1)), 0.0)


def _by_list(data: Lists, position: Ints) -> _Places:
    where = data.where
    weight = np.broadcast_to(data.weight[:, None].astype(np.float64), where.shape)[where]
    return _Places(data.document[where].astype(np.int64), position[where], weight)


def _logged(data: Lists, curve: Curve) -> _Sums:
    places = _by_list(data, data.position)
    clicks = _summed(places.pair, data.clicks[data.where], data.n_documents)
    examination = _summed(places.pair, curve(places.position) * places.sessions, data.n_documents)
    sessions = _summed(data.list_query, data.weight, len(data.query_id))
    return _Sums(data.doc_query.astype(np.int64), clicks, examination, sessions, places)


def _summed(group: Ints, values: NDArray[np.floating[Any]], size: int) -> Floats:
    return np.asarray(np.bincount(group, values, size), np.float64)


def _usual_length(data: Lists) -> int:
    """The most frequent length of a page: how deep the new ranking is looked at."""
    return int(np.bincount(data.where.sum(axis=1), data.weight).argmax())


def _candidates(
    run: RunLike, data: Lists, *, lake: Lake, depth: int
) -> tuple[tuple[Longs, Longs], Floats, Ints]:
    """Query numbers and ids, scores and ranks of what the ranker would show."""
    order = np.argsort(data.query_id)
    by_features = run.config["reads"] == "features"
    parts = []
    for table in candidate_tables(lake, with_features=by_features, queries=data.query_id[order]):
        query_id, doc_id = (table[c].to_numpy() for c in ("query_id", "doc_id"))
        features = lake_features(lake, table) if by_features else None
        score = run.score_candidates(query_id, doc_id, features)
        query = order[np.searchsorted(data.query_id, query_id, sorter=order)]
        rank = ranks(score, query=query, document=doc_id)
        shown = rank <= depth
        parts.append([x[shown] for x in (query, doc_id, score, rank)])
    if not parts:
        empty = np.zeros(0, np.int64)
        return (empty, empty), np.zeros(0), empty
    query, doc_id, score, rank = (np.concatenate(p) for p in zip(*parts, strict=True))
    return (query, doc_id), score.astype(np.float64), rank


def _joined(
    logged: _Sums,
    data: Lists,
    *,
    key: tuple[Longs, Longs],
    attraction: Floats,
    rank: Ints,
    own: Floats,
) -> tuple[_Sums, Floats, _Places]:
    """Logged pairs and those of the new ranking, each once: sums, γ of the model, new places."""
    query = np.concatenate([logged.query, key[0]])
    document = np.concatenate([data.doc_id, key[1]])
    pair = np.empty(len(query), [("query", np.int64), ("document", np.int64)])
    pair["query"], pair["document"] = query, document
    pairs, of = np.unique(pair, return_inverse=True)
    old, new = of[: len(logged.query)], of[len(logged.query) :]
    size = len(pairs)
    model = np.zeros(size)
    model[old], model[new] = own, attraction
    sums = _Sums(
        query=pairs["query"],
        clicks=_summed(old, logged.clicks, size),
        examination=_summed(old, logged.examination, size),
        sessions=logged.sessions,
        places=_Places(old[logged.places.pair], logged.places.position, logged.places.sessions),
    )
    return sums, model, _Places(new, rank, logged.sessions[key[0]])


def offline_metrics(
    run: RunLike,
    f: NDArray[np.float32],
    held_out: Lists,
    *,
    data: Lists,
    lake: Lake,
    split: str,
    curve: Curve,
) -> dict[str, Any]:
    """Everything that held-out clicks say of the run beside its likelihood.

    The map from scores to probabilities is fitted on the validation split (on the training split
    where the validation split is what is evaluated).

    Args:
        run: the run.
        f: `[L, K]` its scores of the held-out lists.
        held_out: the lists of the split.
        data: all lists of the lake.
        lake: the lake.
        split: train, validation, test or all.
        curve: θ.
    """
    other = "train" if split == "validation" else "validation"
    fitted_on = held_out_lists(run, data, split=other).lists
    if fitted_on.clicks.sum():
        attraction = attraction_of(run.list_logits(fitted_on)[0], fitted_on, curve=curve)
    else:
        attraction = attraction_of(f, held_out, curve=curve)
    return {
        **calibrated(f, held_out, curve=curve, attraction=attraction),
        **new_ranking_values(run, f, held_out, lake=lake, curve=curve, attraction=attraction),
    }
