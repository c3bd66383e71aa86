"""Points of time as logs write them: ISO text with or without a zone, or epoch milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

MOMENT = pl.Datetime("us", "UTC")

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_LEAST_MS = 10**11
"""Of 1973: fewer are seconds, which would all be days of January 1970."""

_ZONED = "%Y-%m-%dT%H:%M:%S%.f%#z"
_NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def moments(text: pl.Series) -> pl.Series:
    """Read points of time; text without a zone is UTC, and what cannot be read is null.

    Numbers are milliseconds, and null where they look like seconds.

    Example:
        >>> moments(pl.Series(["2026-01-02T03:04:05Z", "1767323045000"])).n_unique()
        1
    """
    read = _usual(text)
    if read is None:
        read = _any_form(pl.DataFrame({"t": text.cast(pl.String)}))
    fits = read.is_between(_EARLIEST, _LATEST)
    return read if fits.all() else read.set(~fits, None)


def _usual(text: pl.Series) -> pl.Series | None:
    """All of them, if all are ISO text with a zone: what nearly all logs have, and fast."""
    try:
        return pl.Series(pc.cast(text.to_arrow(), pa.timestamp("us", "UTC"))).cast(MOMENT)
    except pa.ArrowException:
        return None


def _any_form(frame: pl.DataFrame) -> pl.Series:
    text = pl.col("t").str.strip_chars().str.replace(r" ?UTC$", "Z").str.replace(" ", "T")
    zoned = text.str.to_datetime(_ZONED, time_unit="us", time_zone="UTC", strict=False)
    naive = [
        text.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
        for form in _NAIVE[:2]
    ]
    day = text.str.to_date(_NAIVE[2], strict=False).cast(pl.Datetime("us"))
    epoch = pl.col("t").str.strip_chars().cast(pl.Int64, strict=False)
    # Beyond these the product would not fit; before them are seconds, of 1973 to 5138.
    is_epoch = (epoch.abs() < 1 << 48) & (epoch.abs() >= _LEAST_MS)
    epoch = pl.when(is_epoch).then(epoch * 1000).cast(MOMENT)
    forms = [zoned, *naive, day.dt.replace_time_zone("UTC"), epoch]
    return frame.select(pl.coalesce(forms)).to_series()
