"""A chart by itself: an image that needs nothing around it."""

from xml.etree import ElementTree

from ultr.report import Dot, Picture, Series, dot_chart, line_chart
from ultr.report.page import style_sheet

WORDS = {"name": "a", "title": "A & b", "description": "d <e>", "x_label": "x"}
CHARTS = (
    line_chart([Series("s", [1, 0.5], "dla")], y_label="y", **WORDS),
    dot_chart([Dot("s", 0.5, "dla")], **WORDS),
)


def test_a_picture_is_an_image_by_itself():
    for chart in CHARTS:
        image = ElementTree.fromstring(Picture(chart)._repr_svg_())
        assert image.tag == "{http://www.w3.org/2000/svg}svg"
        style = image[0]
        assert style.tag.endswith("style")
        assert "--dla" in style.text
        assert image[1].text == "A & b"


def test_a_picture_styles_nothing_but_charts():
    # Notebooks put images into their own page, whose text it must not change.
    selectors = [line.split("{")[0].strip() for line in style_sheet("chart.css").splitlines()]
    assert {s.split()[0] for s in selectors if s and s[0] in ".:"} == {":root", ".chart"}
    assert "@media" not in style_sheet("chart.css")
