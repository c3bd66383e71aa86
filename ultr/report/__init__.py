"""Self-contained HTML pages with numbers and figures, made of text alone."""

from ultr.report.demo_page import demo_page
from ultr.report.figures import Dot, Series, dot_chart, line_chart
from ultr.report.findings import Findings, Method
from ultr.report.page import Section, page, table
from ultr.report.picture import Picture

__all__ = [
    "Dot",
    "Findings",
    "Method",
    "Picture",
    "Section",
    "Series",
    "demo_page",
    "dot_chart",
    "line_chart",
    "page",
    "table",
]
