"""Which events have to be seen together, so that each share of them can be joined by itself.

Events with a page id belong together. One without may go to any page of its client, so all events
of all pages of such a client do; and where queries of several clients have one page id, the pages
of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ultr.commit import Commit
from ultr.etl.events import distinct_hashes, hashes, read_files
from ultr.etl.shares import Groups, Hashes, merged, sorted_hashes, within
from ultr.manifest import File

_HASH, _PAGE, _CLIENT = pl.UInt64, pl.col("page_id").hash(0), pl.col("client_id").hash(0)
_TIE = pl.Schema({"page": _HASH, "client": _HASH})
_KEYS = ("kind", "page_id", "client_id")


class Touched:
    """What new or removed events are about: hashes of pages and clients."""

    def __init__(self) -> None:
        self._pages: list[pl.Series] = []
        self._clients: list[pl.Series] = []
        self._orphans: list[pl.Series] = []

    def add(self, events: pl.DataFrame) -> None:
        """Note events; `kind, page_id, client_id`."""
        is_orphan, is_query = pl.col("page_id").is_null(), pl.col("kind") == "query"
        self._pages.append(hashes(events["page_id"]).unique())
        self._clients.append(hashes(events.filter(is_query)["client_id"]).unique())
        self._orphans.append(hashes(events.filter(is_orphan)["client_id"]).unique())

    def merge(self, other: Touched) -> None:
        """Note what another one noted."""
        self._pages += other._pages
        self._clients += other._clients
        self._orphans += other._orphans

    @property
    def pages(self) -> Hashes:
        """Pages that are named, sorted."""
        return sorted_hashes(self._pages)

    @property
    def clients(self) -> Hashes:
        """Clients of queries, sorted."""
        return sorted_hashes(self._clients)

    @property
    def orphans(self) -> Hashes:
        """Clients with events that name no page, sorted."""
        return sorted_hashes(self._orphans)


class Plan(NamedTuple):
    """Which events are to be joined.

    Attributes:
        files: that hold some of them.
        pages: hashes of pages, or None for all.
        clients: hashes of the clients whose events without a page are among them.
        groups: tells events that belong together.
    """

    files: list[File]
    pages: Hashes | None
    clients: Hashes
    groups: Groups

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of the rows that are to be joined."""
        if self.pages is None:
            return rows
        page, client = rows.select(page=_PAGE, client=_CLIENT)
        unnamed = rows["page_id"].is_null().to_numpy()
        chosen = np.where(unnamed, within(client, self.clients), within(page, self.pages))
        return rows.filter(pl.Series(chosen))


def affected(change: Commit, files: Sequence[File], touched: Touched | None) -> Plan:
    """All events of the pages that new or removed ones may concern.

    Args:
        change: the commit.
        files: of events, new ones among them.
        touched: what the new and the removed ones are about; None where all are new.
    """
    known = change.manifest.sources
    loose = [f for f in files if known[f.keys["source"]]["orphans"]]
    orphans = sorted_hashes([_orphans(rows) for rows in read_files(change, loose, columns=_KEYS)])
    wanted = orphans if touched is None else merged(orphans, touched.orphans)
    own = [_of_clients(rows, wanted) for rows in _queries(change, files)] if len(wanted) else []
    ties = joined(pl.concat([pl.DataFrame(schema=_TIE), *own]))
    if touched is None:
        return Plan(list(files), None, orphans, _grouping(ties))
    pages, seen = touched.pages, merged(touched.clients, touched.orphans)
    is_touched = within(ties["page"], pages) | within(ties["client"], seen)
    ties_of = ties.join(ties.filter(pl.Series(is_touched)), on="group", how="semi")
    clients = merged(
        np.intersect1d(seen, orphans, assume_unique=True),
        touched.orphans,
        sorted_hashes([ties_of["client"]]),
    )
    pages = merged(pages, sorted_hashes([ties_of["page"]]))
    holding = [
        f for f in files if f in loose or within(distinct_hashes(change, f, "page_id"), pages).any()
    ]
    return Plan(holding, pages, clients, _grouping(ties))


def joined(ties: pl.DataFrame) -> pl.DataFrame:
    """Pages and clients that are tied, directly or through others, get one `group`.

    Args:
        ties: `page, client`.

    Example:
        >>> joined(pl.DataFrame({"page": [1, 1, 2, 3], "client": [5, 6, 6, 7]}))["group"].to_list()
        [5, 5, 5, 7]
    """
    found = ties.unique(maintain_order=True).with_columns(group="client")
    while True:
        least = found.with_columns(pl.col("group").min().over("page"))
        least = least.with_columns(pl.col("group").min().over("client"))
        if least["group"].equals(found["group"]):
            return found
        # A group is called by one of its clients, which may be in another by now: chains halve.
        now = least.select(group="client", now="group").unique("group")
        found = least.join(now, on="group", how="left", maintain_order="left")
        found = found.select("page", "client", group="now")


def _grouping(ties: pl.DataFrame) -> Groups:
    of_page = ties.select("page", of_page="group").unique("page")
    of_client = ties.select("client", of_client="group").unique("client")

    def groups(rows: pl.DataFrame) -> pl.Series:
        keys = rows.select(
            page=pl.when(pl.col("page_id").is_not_null()).then(_PAGE), client=_CLIENT
        )
        if ties.height:
            keys = keys.join(of_page, on="page", how="left", maintain_order="left")
            keys = keys.join(of_client, on="client", how="left", maintain_order="left")
            return keys.select(pl.coalesce("of_page", "page", "of_client", "client")).to_series()
        return keys.select(pl.coalesce("page", "client")).to_series()

    return groups


def _queries(change: Commit, files: Sequence[File]) -> Iterator[pl.DataFrame]:
    """Hashes `page, client` of the queries that have both."""
    for rows in read_files(change, files, columns=_KEYS):
        named = pl.col("page_id").is_not_null() & pl.col("client_id").is_not_null()
        yield rows.filter(named, pl.col("kind") == "query").select(page=_PAGE, client=_CLIENT)


def _orphans(rows: pl.DataFrame) -> pl.Series:
    return hashes(rows.filter(pl.col("page_id").is_null())["client_id"]).unique()


def _of_clients(rows: pl.DataFrame, clients: Hashes) -> pl.DataFrame:
    return rows.filter(pl.Series(within(rows["client"], clients), dtype=pl.Boolean))
