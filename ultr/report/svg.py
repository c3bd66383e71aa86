"""The few pieces that a chart is drawn from: elements, text, scales, ticks and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH = 460
"""Of every figure, in user units: at 13 units, text stays readable when a phone shrinks it."""

_CHARACTER = 7.0


@dataclass(frozen=True)
class Scale:
    """A linear map from values to user units.

    Args:
        low: value at `start`.
        high: value at `end`, above `low`.
        start: user units.
        end: user units; below `start` for an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where `value` is drawn.

        Example:
            >>> Scale(0, 2, start=10, end=30)(1)
            20.0
        """
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0, 1)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(float(v), digits) for v in np.arange(first, last + 1) * step]


def tick_labels(values: Sequence[float]) -> list[str]:
    """The values with just as many decimals as tell them apart.

    Example:
        >>> tick_labels([0.0, 0.5, 1.0])
        ['0.0', '0.5', '1.0']
    """
    for digits in range(7):
        if all(abs(round(v, digits) - v) < 1e-9 for v in values):
            return [f"{v:.{digits}f}" for v in values]
    return [f"{v:g}" for v in values]


def element(name: str, content: str = "", **attributes: object) -> str:
    """One SVG element; `content` is markup, attributes are escaped.

    `_` in an attribute's name stands for `-`, and one at its end is left out (`class_`).

    Example:
        >>> element("g", class_="a&b", stroke_width=2)
        '<g class="a&amp;b" stroke-width="2"/>'
    """
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
    )
    start = f"<{name}{''.join(pairs)}"
    return f"{start}>{content}</{name}>" if content else f"{start}/>"


def text(words: str, *, x: float, y: float, anchor: str = "start", class_: str = "") -> str:
    """Escaped text with its baseline at `y`."""
    style = {"class_": class_} if class_ else {}
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, **style)


def figure(body: str, *, name: str, height: float, title: str, description: str) -> str:
    """A whole inline `<svg>` that a screen reader announces by title and description.

    Args:
        body: the elements.
        name: unique on the page; ids are made from it.
        height: user units; the width is `WIDTH`.
        title: a few words, escaped here.
        description: what the picture shows, escaped here.
    """
    named = (f"{name}-title", f"{name}-description")
    head = element("title", escape(title), id=named[0])
    head += element("desc", escape(description), id=named[1])
    return element(
        "svg",
        head + body,
        viewBox=f"0 0 {WIDTH} {_plain(height)}",
        role="img",
        aria_labelledby=" ".join(named),
        class_="chart",
    )


def legend(entries: Sequence[tuple[str, str]]) -> tuple[str, float]:
    """Samples with their names, wrapped to the figure's width.

    Args:
        entries: (markup of a sample 26 wide around the origin, name).

    Returns:
        The markup, and the height it takes.
    """
    x, y, parts = 0.0, 12.0, []
    for sample, name in entries:
        width = 34 + _CHARACTER * len(name) + 18
        if x and x + width - 18 > WIDTH:
            x, y = 0.0, y + 20
        parts.append(element("g", sample, transform=f"translate({_plain(x + 13)} {_plain(y - 4)})"))
        parts.append(text(name, x=x + 32, y=y))
        x += width
    return "".join(parts), y + 10


def _plain(value: object) -> str:
    """Numbers without float noise: a tenth of a unit is below a pixel."""
    return f"{round(value, 1):g}" if isinstance(value, float) else str(value)
