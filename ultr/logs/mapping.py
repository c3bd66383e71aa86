"""What a user's own table means: a TOML file that names their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ultr.config import from_mapping, read_toml
from ultr.errors import UsageError
from ultr.schema import SESSIONS

Name = str | int
"""A column's name, or its number from 0 in a file without a header."""

FEATURE, FEEDBACK = "feature:", "feedback:"
"""Before the names of feature and feedback columns, so that they cannot be taken for ours."""


@dataclass(frozen=True)
class Columns:
    """Which of the user's columns is which of ours; None where there is none."""

    query: Name | None = None
    document: Name | None = None
    position: Name | None = None
    click: Name | None = None
    page: Name | None = None
    session: Name | None = None
    user: Name | None = None
    query_text: Name | None = None
    time: Name | None = None
    device: Name | None = None
    dwell_s: Name | None = None
    media_type: Name | None = None
    height_px: Name | None = None
    max_height_px: Name | None = None
    top_px: Name | None = None
    abstract_length: Name | None = None
    document_title: Name | None = None
    document_text: Name | None = None
    weight: Name | None = None


@dataclass(frozen=True)
class Constants:
    """Values that stand for a whole column."""

    query: str | None = None


@dataclass(frozen=True)
class Options:
    """How values are written.

    Args:
        position_base: what the first position is called, 0 or 1.
        time_unit: iso text, or a number of s or ms since 1970.
        header: whether the first line names the columns.
        list_position: in the page layout without a position column: the lists are in rank order.
        list_format: how lists are written as text: `json`, `python`, or either.
        click_true: the values that mean a click, all others meaning none; by default 1 and true
            are a click, 0 and false none, and another value is an error.
    """

    position_base: Literal[0, 1] = 1
    time_unit: Literal["iso", "s", "ms"] = "iso"
    header: bool = True
    list_position: bool = False
    list_format: Literal["auto", "json", "python"] = "auto"
    click_true: tuple[str | int | bool, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """A mapping file.

    Args:
        layout: one row per `impression`, or one row per `page` with lists in its cells.
        delimiter: between the columns of a text table.
        columns: the user's names.
        constants: instead of a column.
        options: how values are written.
        features: feature name -> column of numbers known before the click, in a stored order.
        feedback: action (`add_to_cart`, `purchase` …) -> column of how often it followed.
    """

    layout: Literal["impression", "page"] = "impression"
    delimiter: str = ","
    columns: Columns = field(default_factory=Columns)
    constants: Constants = field(default_factory=Constants)
    options: Options = field(default_factory=Options)
    features: dict[str, Name] = field(default_factory=dict)
    feedback: dict[str, Name] = field(default_factory=dict)

    @property
    def taken(self) -> dict[str, Name]:
        """Our name of each column that is read -> the user's."""
        own = {ours: theirs for ours, theirs in vars(self.columns).items() if theirs is not None}
        own |= {f"{FEATURE}{name}": theirs for name, theirs in self.features.items()}
        return own | {f"{FEEDBACK}{name}": theirs for name, theirs in self.feedback.items()}

    def __post_init__(self) -> None:
        """Check that a page can be put together, and that no feature gives the click away.

        Raises:
            UsageError: a column that is needed is not named, a delimiter of several letters, or a
                feature that is known only after the click.
        """
        missing = [c for c in ("document", "click") if getattr(self.columns, c) is None]
        if self.columns.query is None and self.constants.query is None:
            missing.append("query")
        ranked = self.layout == "page" and self.options.list_position
        if self.columns.position is None and not ranked:
            missing.append("position")
        if missing:
            raise UsageError(
                "the mapping must name the columns of query, document, position and click",
                got=f"nothing for {', '.join(missing)}",
                hint="the order of rows is not a position; for lists in rank order say "
                "list_position = true under [options]",
            )
        if len(self.delimiter.encode()) != 1:
            raise UsageError(
                "a delimiter is one letter", got=repr(self.delimiter), hint='for example "\\t"'
            )
        _check_names(self.features, "features")
        _check_names(self.feedback, "feedback")
        self._check_leakage()

    def _check_leakage(self) -> None:
        told = {
            str(theirs)
            for ours, theirs in self.taken.items()
            if ours in ("click", "position", *_POST_CLICK) or ours.startswith(FEEDBACK)
        }
        for name, column in self.features.items():
            if str(column) in told or {name, str(column).lower()} & _NEVER_FEATURES:
                raise UsageError(
                    "a feature of the ranker is known before the click, and is not the position",
                    got=f"{name} = {column!r} under [features]",
                    hint="leave it out; what follows a click goes under [feedback]",
                )


def _check_names(columns: dict[str, Name], section: str) -> None:
    wrong = [n for n, c in columns.items() if not n or isinstance(c, bool) or not _is_name(c)]
    if wrong:
        raise UsageError(
            f"[{section}] gives each name a column of the file",
            got=f"{wrong[0]} = {columns[wrong[0]]!r}",
            hint='for example price = "price_usd"',
        )


def _is_name(column: object) -> bool:
    return isinstance(column, str | int)


_POST_CLICK = frozenset(c.name for c in SESSIONS.columns if c.is_post_click)
_NEVER_FEATURES = _POST_CLICK | {"click", "clicks", "clicked", "position", "rank"}
"""Whatever the mapping calls them."""

_REQUIRED = {"query": "query_id", "document": "doc_id", "position": "position", "click": "click"}
_OURS = _REQUIRED | {
    "page": "page_id",
    "session": "session_id",
    "user": "user_id",
    "query_text": "query_text",
    "time": "shown_at",
    "device": "device",
    "dwell_s": "dwell_s",
    "media_type": "media_type",
    "height_px": "height_px",
    "max_height_px": "max_height_px",
    "top_px": "top_px",
    "abstract_length": "abstract_length",
    "document_title": "document_title",
    "document_text": "document_text",
    "weight": "weight",
}


def default_mapping(names: Sequence[str], *, layout: Literal["impression", "page"]) -> Mapping:
    """The mapping of a table that has our names already.

    Args:
        names: the file's columns; those of ours that are optional are taken where they occur.
        layout: one row per impression or per page.
    """
    taken = {k: v for k, v in _OURS.items() if k in _REQUIRED or v in names}
    return Mapping(layout=layout, columns=Columns(**taken))


DEFAULT_NAMES = tuple(_OURS.values())
"""The columns that a table without a mapping may have."""

REQUIRED_NAMES = tuple(_REQUIRED.values())
"""Those that it must have."""


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        UsageError: not TOML, an unknown key, or a needed column that is not named.

    Example:
        A file may look like this:

            layout = "impression"
            [columns]
            query = "search_term"
            document = "item_id"
            position = "rank"
            click = "clicked"
            page = "search_id"
            [features]
            price = "price_usd"
            [feedback]
            add_to_cart = "cart"
    """
    return from_mapping(Mapping, read_toml(path), where=path.name)
