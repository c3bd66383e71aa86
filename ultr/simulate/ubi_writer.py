"""A raw log as User Behavior Insights: queries, and explicit impressions and clicks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from ultr.simulate.sessions import Pages
from ultr.simulate.text_log import TextLog

APPLICATION = "ultr-simulate"
START = datetime(2026, 1, 1, tzinfo=UTC)
TICK_MS = 1000
"""A click on position k comes k seconds after its page, and the next page after all clicks."""


class UbiWriter(TextLog):
    """`log.ndjson`: a page's query, its impressions by position (from 0), then its clicks.

    Args:
        folder: where the log goes.
        judged: whose keys are written.
    """

    name = "log.ndjson"

    def write(self, pages: Pages) -> None:
        """Append sessions."""
        import polars as pl  # noqa: PLC0415

        number = np.arange(pages.first, pages.first + len(pages.row))
        queries = self._lines(number, 0, pages, user_query=self._query.gather(pages.query))
        page, position = np.nonzero(pages.row >= 0)
        shown = self._events("impression", number, pages, at=(page, position), delay=0)
        page, position = np.nonzero(pages.click)
        clicks = self._events("click", number, pages, at=(page, position), delay=position + 1)
        # Stable, so that a page stands before its impressions, and these by position.
        lines = pl.concat([queries, shown, clicks]).sort("tick", maintain_order=True)
        lines.select("line").write_csv(self._file, include_header=False, quote_style="never")

    def _events(self, action: str, number: Any, pages: Pages, *, at: Any, delay: Any) -> Any:
        import polars as pl  # noqa: PLC0415

        page, position = at
        attributes = pl.DataFrame(
            {"doc": self._doc.gather(pages.row[page, position]), "rank": position}
        ).select(
            event_attributes=pl.struct(
                object=pl.struct(object_id="doc"), position=pl.struct(ordinal="rank")
            )
        )
        return self._lines(
            number[page], delay, pages, action_name=pl.lit(action), **attributes.to_dict()
        )

    def _lines(self, number: Any, delay: Any, pages: Pages, **fields: Any) -> Any:
        import polars as pl  # noqa: PLC0415

        tick = number * (pages.row.shape[1] + 1) + delay
        time = pl.col("tick") * pl.duration(milliseconds=TICK_MS) + pl.lit(START)
        name = pl.col("number").cast(pl.String)
        return pl.DataFrame({"number": number, "tick": tick}).select(
            "tick",
            line=pl.struct(
                application=pl.lit(APPLICATION),
                **fields,
                query_id=name,
                client_id=name,
                timestamp=time.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
            ).struct.json_encode(),
        )
