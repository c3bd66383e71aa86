"""What every page has to be: whole, self-contained, and without complaint from a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

needs_chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--enable-logging=stderr"
)


class Balanced(HTMLParser):
    """Fails on a tag that is closed but not open."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_page(html):
    """The page is balanced markup that loads and runs nothing, and no id stands twice."""
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "<script" not in html
    assert not re.search(r'(src|href)="http', html)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def rendered(html, folder):
    """The document as Chromium has built it; fails if the browser complains about anything."""
    (folder / "page.html").write_text(html, encoding="utf-8")
    done = subprocess.run(
        ["chromium", *_FLAGS.split(), f"--user-data-dir={folder / 'profile'}", "--dump-dom",
         (folder / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    return done.stdout
