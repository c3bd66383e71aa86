"""A chart as a notebook shows it: an image by itself, without the style sheet of a page."""

from __future__ import annotations

from dataclasses import dataclass

from ultr.report.page import style_sheet
from ultr.report.svg import WIDTH

_ROOM = 8


@dataclass(frozen=True)
class Picture:
    """A chart that Jupyter, and whoever renders notebooks without running them, show as an image.

    Args:
        chart: what `line_chart` or `dot_chart` returned.

    Example:
        >>> from ultr.report import Series, line_chart
        >>> svg = line_chart([Series("truth", [1, 0.5], "truth")], name="curve", title="Curve",
        ...                  description="Two ranks.", x_label="rank", y_label="propensity")
        >>> Picture(svg)._repr_svg_()[:39]
        '<svg xmlns="http://www.w3.org/2000/svg"'
    """

    chart: str

    def _repr_svg_(self) -> str:
        # Light whatever the reader's colours: an image does not know the notebook's background.
        # An image has no overflow: what stands out at the sides needs some room.
        size = (
            f'width="{WIDTH + 2 * _ROOM}" style="width: {WIDTH + 2 * _ROOM}px; background: white"'
        )
        style = f"<style>{style_sheet('chart.css')}</style>"
        head, rest = self.chart.split(">", 1)
        head = head.replace("<svg", f'<svg xmlns="http://www.w3.org/2000/svg" {size}', 1)
        head = head.replace(f'"0 0 {WIDTH} ', f'"{-_ROOM} 0 {WIDTH + 2 * _ROOM} ', 1)
        return f"{head}>{style}{rest}"
