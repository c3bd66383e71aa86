"""The examination curves and the training curves of a run."""

from __future__ import annotations

import numpy as np

from ultr.report.figures import Series, line_chart
from ultr.report.gather import Gathered
from ultr.report.page import figure_with_table, interval, paragraph, table

_CONTEXTS = 6
"""Context curves that one chart can show apart."""


def curves(found: Gathered) -> str:
    """The learned curve beside the harvested one and the click-through rate."""
    series = _series(found)
    if not series:
        return paragraph("No curve: the method knows of no examination.")
    chart = line_chart(
        series,
        name="propensity",
        title="Examination by rank, relative to the first rank",
        description="; ".join(f"{s.name}: {s.values[-1]:.3f} at the last rank" for s in series),
        x_label="rank on the page",
        y_label="relative to the first rank",
    )
    shown = series[::-1]  # the run's own first, where a narrow page shows it
    header = ("rank", *(s.name for s in shown))
    depth = max(len(s.values) for s in shown)
    rows = [(str(k + 1), *(_cell(s, k) for s in shown)) for k in range(depth)]
    beside = table(header, rows, caption="With 95% intervals where there are any")
    caption = (
        "How often people look at each rank, whatever stands there. Click-through rates fall "
        "faster, because better documents stand higher. Harvested: from documents that were seen "
        "at several ranks, without any model of relevance; where it agrees with the learned curve, "
        "two independent ways lead to the same place."
    )
    return figure_with_table(chart, caption=caption, beside=beside) + _contexts(found)


def _series(found: Gathered) -> list[Series]:
    out = []
    if found.diagnosis is not None and found.diagnosis.curves.ctr is not None:
        ctr = found.diagnosis.curves.ctr
        out.append(_with_interval("click-through rate", ctr, "naive", has_dots=False))
        harvested = found.diagnosis.curves.estimates.get("all_pairs")
        if harvested is not None:
            out.append(_with_interval("harvested", harvested, "ipw"))
    own = _own(found)
    if own is not None and found.method != "naive":
        out.append(Series(f"this run ({found.method})", own, "dla"))
    return [s for s in out if np.isfinite(s.values).any()]


def _with_interval(name: str, curve: object, style: str, *, has_dots: bool = True) -> Series:
    value, low, high = (
        [float(v) for v in getattr(curve, part)] for part in ("propensity", "low", "high")
    )
    return Series(name, value, style, has_dots=has_dots, low=low, high=high)


def _own(found: Gathered) -> list[float] | None:
    """The run's curve by rank; without contexts it has one row a position."""
    table_ = found.propensities
    position = table_["position"].to_numpy()
    if not len(position):
        return None
    values = np.full(int(position.max()), np.nan)
    for k, p in zip(position, table_["propensity"].to_numpy(), strict=True):
        if np.isnan(values[k - 1]):  # the reference level of a context comes first
            values[k - 1] = p
    return [float(v) for v in values]


def _contexts(found: Gathered) -> str:
    columns = [c for c in found.propensities.column_names if c not in ("position", "propensity")]
    columns = [c for c in columns if not c.startswith(("low", "high", "identif"))]
    if not columns:
        return ""
    rows = found.propensities.to_pylist()
    by_level: dict[str, dict[int, float]] = {}
    for row in rows:
        level = ", ".join(f"{c} {row[c]}" for c in columns)
        by_level.setdefault(level, {})[row["position"]] = row["propensity"]
    levels = list(by_level.items())[:_CONTEXTS]
    depth = max(max(curve) for _, curve in levels)
    series = [
        Series(name, [curve.get(k, np.nan) for k in range(1, depth + 1)], style)
        for (name, curve), style in zip(levels, _STYLES, strict=False)
    ]
    chart = line_chart(
        series,
        name="contexts",
        title="Examination by rank and context",
        description="; ".join(f"{s.name}: {s.values[-1]:.3f} at the last rank" for s in series),
        x_label="rank on the page",
        y_label="relative to the first rank",
    )
    header = ("rank", *(s.name for s in series))
    cells = [(str(k + 1), *(_cell(s, k) for s in series)) for k in range(depth)]
    more = len(by_level) - len(levels)
    caption = (
        "The same by bias context" + (f"; {more} more are not shown" if more > 0 else "") + "."
    )
    return figure_with_table(
        chart, caption=caption, beside=table(header, cells, caption="Examination by context")
    )


_STYLES = ("dla", "ipw", "naive", "truth", "extra-a", "extra-b")


def _cell(series: Series, k: int) -> str:
    if k >= len(series.values) or not np.isfinite(series.values[k]):
        return "–"
    text = f"{series.values[k]:.3f}"
    if series.low and series.high and np.isfinite(series.low[k]) and k:
        text += f" ({interval(series.low[k], series.high[k])})"
    return text


def training(found: Gathered) -> str:
    """Held-out click likelihood over the evaluations of each phase."""
    by_phase: dict[str, list[float]] = {}
    for line in found.metrics:
        value = line.get("click_nll_listwise")
        if value is not None and np.isfinite(value):
            name = str(line.get("phase", found.method))
            decay = line.get("weight_decay")
            key = f"{name}, decay {decay:g}" if decay is not None else name
            by_phase.setdefault(key, []).append(float(value))
    if not by_phase:
        return ""
    series = [
        Series(name, values, style, has_dots=False)
        for (name, values), style in zip(list(by_phase.items())[:_CONTEXTS], _STYLES, strict=False)
    ]
    chart = line_chart(
        series,
        name="training",
        title="Held-out click likelihood during training",
        description="; ".join(f"{s.name}: best {min(s.values):.4f}" for s in series),
        x_label="evaluation",
        y_label="nats per held-out click, lower is better",
        from_zero=False,
    )
    rows = [
        (name, str(len(v)), f"{min(v):.4f}", str(1 + int(np.argmin(v))), f"{v[-1]:.4f}")
        for name, v in by_phase.items()
    ]
    beside = table(
        ("phase", "evaluations", "best", "at", "last"), rows, caption="Listwise click NLL"
    )
    s = found.summary
    caption = (
        f"Nobody's grades choose the state that is kept, held-out clicks do. "
        f"{s['sessions']:,} sessions, {s['seconds']:.1f} s in all, "
        f"{s['sessions_per_second']:,.0f} sessions a second through the optimizer."
    )
    return figure_with_table(chart, caption=caption, beside=beside)
