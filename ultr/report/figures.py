"""Charts as inline SVG: curves over positions, and one number per method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ultr.report.svg import WIDTH, Scale, element, figure, legend, text, tick_labels, ticks

MIN_SPAN = 0.04
"""Least width of a truncated axis, so that noise is not blown up to a difference."""


@dataclass(frozen=True)
class Series:
    """A named curve over positions 1, 2, ….

    Args:
        name: for the legend.
        values: one per position; shorter than other series is fine.
        style: a class of the page's style sheet, such as `dla`, `naive` or `truth`.
        has_dots: mark each value.
        low: lower ends of intervals, parallel to the values; NaN where there is none.
        high: their upper ends.
    """

    name: str
    values: Sequence[float]
    style: str
    has_dots: bool = True
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Dot:
    """A named number, with an interval where there is one.

    Args:
        name: what the number belongs to.
        value: where the dot is.
        style: a class of the page's style sheet.
        interval: (low, high), or None.
    """

    name: str
    value: float
    style: str
    interval: tuple[float, float] | None = None


def line_chart(
    series: Sequence[Series],
    *,
    name: str,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    from_zero: bool = True,
) -> str:
    """Curves over positions from 1 as an `<svg>`; values that are not finite are left out.

    Later series are drawn over earlier ones.

    Args:
        series: at least one, with at least one finite value.
        name: unique on the page; ids are made from it.
        title: a few words for screen readers.
        description: what the picture shows, for screen readers.
        x_label: what the positions are.
        y_label: what the values are, with their unit.
        from_zero: the axis of values starts at 0.

    Example:
        >>> svg = line_chart([Series("truth", [1, 0.5], "truth")], name="curve", title="Curve",
        ...                  description="Two ranks.", x_label="rank", y_label="propensity")
        >>> svg.startswith("<svg")
        True
    """
    head, top = legend([(_sample(s), s.name) for s in series])
    body_top = top + 26
    bottom = body_top + 220
    n = max(len(s.values) for s in series)
    low, high = _extent(series, from_zero=from_zero)
    y_ticks = ticks(low, high)
    y = Scale(low, max(high, y_ticks[-1]) + 0.02 * (high - low), start=bottom, end=body_top)
    x = Scale(1, max(n, 2), start=46, end=WIDTH - 14)
    parts = [head, text(y_label, x=0, y=top + 8, class_="axis")]
    for value, label in zip(y_ticks, tick_labels(y_ticks), strict=True):
        parts += [
            element("line", x1=34, x2=WIDTH, y1=y(value), y2=y(value), class_="grid"),
            text(label, x=26, y=y(value) + 4, anchor="end", class_="axis"),
        ]
    every = -(-n // 12)  # at most a dozen labels, so that they do not touch
    for k in range(1, n + 1, every):
        parts.append(text(str(k), x=x(k), y=bottom + 20, anchor="middle", class_="axis"))
    parts.append(text(x_label, x=(x(1) + x(n)) / 2, y=bottom + 40, anchor="middle", class_="axis"))
    parts += [_curve(s, x=x, y=y) for s in series]
    return figure(
        "".join(parts), name=name, height=bottom + 48, title=title, description=description
    )


def dot_chart(
    dots: Sequence[Dot], *, name: str, title: str, description: str, x_label: str, digits: int = 3
) -> str:
    """One row per number, on an axis that need not start at 0, as an `<svg>`.

    The first dot is the reference: a line goes through it, down all the rows.

    Args:
        dots: at least one, from top to bottom.
        name: unique on the page; ids are made from it.
        title: a few words for screen readers.
        description: what the picture shows, for screen readers.
        x_label: what the numbers are.
        digits: decimals of the value labels.

    Example:
        >>> dots = [Dot("naive", 0.88, "naive"), Dot("dla", 0.905, "dla")]
        >>> svg = dot_chart(dots, name="n", title="t", description="Two.", x_label="nDCG@10")
        >>> "0.905" in svg
        True
    """
    low, high = _range(dots)
    x = Scale(low, high, start=14, end=WIDTH - 14)
    row = 58
    bottom = row * len(dots) + 4
    parts = []
    values = ticks(low, high)
    for value, label in zip(values, tick_labels(values), strict=True):
        parts += [
            element("line", x1=x(value), x2=x(value), y1=4, y2=bottom, class_="grid"),
            text(label, x=x(value), y=bottom + 18, anchor="middle", class_="axis"),
        ]
    reference = x(dots[0].value)
    parts.append(element("line", x1=reference, x2=reference, y1=22, y2=bottom, class_="reference"))
    for i, dot in enumerate(dots):
        parts.append(_row(dot, x=x, y=row * i + 40.0, digits=digits))
    parts.append(text(x_label, x=WIDTH / 2, y=bottom + 38, anchor="middle", class_="axis"))
    return figure(
        "".join(parts), name=name, height=bottom + 46, title=title, description=description
    )


def _curve(series: Series, *, x: Scale, y: Scale) -> str:
    points = [(x(k), y(v)) for k, v in enumerate(series.values, start=1) if math.isfinite(v)]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    parts = [element("polyline", points=path, class_="line")]
    for k, low, high in zip(itertools.count(1), series.low or (), series.high or (), strict=False):
        if math.isfinite(low) and math.isfinite(high):
            parts.append(element("line", x1=x(k), x2=x(k), y1=y(low), y2=y(high), class_="whisker"))
    if series.has_dots:
        parts += [element("circle", cx=a, cy=b, r=3.5, class_="dot") for a, b in points]
    return element("g", "".join(parts), class_=series.style)


def _extent(series: Sequence[Series], *, from_zero: bool) -> tuple[float, float]:
    """The axis of values: around all values and intervals, never empty."""
    ends = [
        v for s in series for v in (*s.values, *(s.low or ()), *(s.high or ())) if math.isfinite(v)
    ]
    low, high = (0.0 if from_zero else min(ends)), max(ends)
    return low, max(high, low + 1e-9)


def _sample(series: Series) -> str:
    line = element("line", x1=-13, x2=13, y1=0, y2=0, class_="line")
    dot = element("circle", cx=0, cy=0, r=3.5, class_="dot") if series.has_dots else ""
    return element("g", line + dot, class_=series.style)


def _row(dot: Dot, *, x: Scale, y: float, digits: int) -> str:
    at = x(dot.value)
    parts = [text(dot.name, x=0, y=y - 20, class_="name halo")]
    if dot.interval is not None:
        low, high = map(x, dot.interval)
        parts.append(element("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
        parts += [
            element("line", x1=end, x2=end, y1=y - 5, y2=y + 5, class_="whisker")
            for end in (low, high)
        ]
        left, right = low, high
    else:
        left = right = at
    parts.append(element("circle", cx=at, cy=y, r=6.5, class_="dot"))
    label = f"{dot.value:.{digits}f}"
    fits = right + 14 + 8 * len(label) < WIDTH
    side = (right + 13, "start") if fits else (left - 13, "end")
    parts.append(text(label, x=side[0], y=y + 5, anchor=side[1], class_="value halo"))
    return element("g", "".join(parts), class_=dot.style)


def _range(dots: Sequence[Dot]) -> tuple[float, float]:
    """The axis: all dots and intervals with some room, at least `MIN_SPAN` wide."""
    ends = [v for d in dots for v in (d.value, *(d.interval or ()))]
    middle = (min(ends) + max(ends)) / 2
    half = max((max(ends) - min(ends)) * 0.65, MIN_SPAN / 2)
    return middle - half, middle + half
