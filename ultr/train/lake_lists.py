"""Lists that are larger than memory: read bucket by bucket, a group of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from ultr.data import Lists
from ultr.data.context import BiasColumn, choose_columns, read_contexts
from ultr.data.load import describe, list_buckets
from ultr.errors import DataError
from ultr.lake import Lake
from ultr.train.config import TrainConfig
from ultr.train.counted import Counter, Counts
from ultr.train.memory import memory_bytes
from ultr.train.pair_rows import PairRows, pair_rows
from ultr.train.part import (
    DOCUMENT_BYTES,
    LIST_BYTES,
    Part,
    Reading,
    select_part,
)
from ultr.transform import Transform

COPIES = 12
"""Times the bytes of a group's features that training takes: two groups on the device, one of which
is trained on, and one being read, sorted out and transformed. With 6, which counts these, a process
grew by 1.7 times the limit, with 10 by up to 1.15: freed memory is not all given back."""

_COPIES_IN_MEMORY = 5
"""The same of lists that are in memory: one copy on the device, two while it is made."""

_ROW_BYTES = 64
"""Of a parameter of a table ranker: itself, its gradient, its optimizer's two moments, its running
mean and the best so far, with copies while they are saved, and the pair that it stands for."""


def default_memory_limit() -> int:
    """Half of the memory that this process may have, in bytes."""
    return memory_bytes() // 2


class _Scan(NamedTuple):
    parts: dict[str, dict[str, Counts]]
    sessions: dict[str, int]
    n_lists: int
    n_clicked: int


class LakeLists:
    """A lake's lists as they stand on disk, for a training that reads them again each epoch.

    Args:
        lake: the lake.
        limit: bytes that lists and features may take while training.
        reading: how lists are read; by default with all bias columns and the lake's transform.
        by_pattern: keep sessions with other clicks apart, as of `load_lists`.
        group: buckets to be in memory together; as many as the limit allows by default. The order
            of steps depends on it: a training that is taken up again needs what it was begun with.

    Raises:
        DataError: the lake has no lists.

    Example:
        >>> data = LakeLists(ultr.open_lake("lake"), limit=8 << 30)  # doctest: +SKIP
        >>> run = ultr.fit(data, run="runs/dla")  # doctest: +SKIP
    """

    def __init__(
        self,
        lake: Lake,
        *,
        limit: int,
        reading: Reading | None = None,
        by_pattern: bool = False,
        group: int | None = None,
    ) -> None:
        self._lake = lake
        self._buckets = tuple(list_buckets(lake))
        self._limit = limit
        self._reading, self._by_pattern = reading, by_pattern
        self._group = group
        #: What identifies the lake.
        self.lake: dict[str, Any] = describe(lake)

    @cached_property
    def reading(self) -> Reading:
        """How lists are read."""
        if self._reading is not None:
            return self._reading
        meta = self._lake.manifest.meta
        transform = Transform.from_json(meta["transform"]) if meta.get("transform") else None
        contexts = read_contexts(self._lake)
        return Reading(contexts, contexts.columns, transform, by_pattern=self._by_pattern)

    @property
    def transform(self) -> Transform | None:
        """How the ranker's input is made; None without features."""
        return self.reading.transform

    @property
    def bias(self) -> tuple[BiasColumn, ...]:
        """The bias columns."""
        return self.reading.bias

    def read_as(self, reading: Reading) -> LakeLists:
        """The same lists, read otherwise."""
        return LakeLists(self._lake, limit=self._limit, reading=reading, group=self._group)

    def with_bias(self, names: Sequence[str] | None, *, merge: bool = True) -> LakeLists:
        """The lists with some of their bias columns; all where `names` is None.

        Args:
            names: which columns.
            merge: lists that differ in no other become one, with their clicks summed, whatever the
                click patterns; else all stay as they are.

        Raises:
            DataError: a column that the lists do not have.
        """
        if names is None:
            return self
        bias = choose_columns(self.bias, names)
        by_pattern = self.reading.by_pattern and not merge
        return self.read_as(replace(self.reading, bias=bias, by_pattern=by_pattern))

    def trained_by(self, config: TrainConfig) -> LakeLists:
        """The lists as a training reads them: how long, by pair or not, sessions apart or not."""
        return self.read_as(
            replace(
                self.reading,
                list_size=config.list_size,
                by_pair=config.ranker_spec().reads == "row",
                merge=config.sessions_per_batch is None,
            )
        )

    @property
    def n_features(self) -> int:
        """F, 0 without features."""
        return 0 if self.transform is None else len(self.transform.mean)

    @property
    def n_documents(self) -> int:
        """Candidates of the lake."""
        return self._lake.rows("candidates")

    @cached_property
    def rows(self) -> PairRows | None:
        """The parameters of a table ranker; None for one that reads features."""
        if not self.reading.by_pair:
            return None
        whole = replace(self.reading, list_size=None)
        return pair_rows(whole.read(self._lake, [bucket]) for bucket in self._buckets)

    @property
    def fits_in_memory(self) -> bool:
        """Whether the whole is within the limit."""
        return self.bytes_to_train <= self._limit

    @property
    def bytes_to_train(self) -> int:
        """What the whole takes in memory, about."""
        return _COPIES_IN_MEMORY * self._bytes(self._buckets)

    @cached_property
    def group(self) -> int:
        """Buckets to be in memory together.

        Raises:
            DataError: they are not within the limit, beside the parameters of a table ranker.
        """
        largest = max(COPIES * self._bytes((bucket,)) for bucket in self._buckets)
        table = 0 if self.rows is None else _ROW_BYTES * len(self.rows.pairs.doc_id)
        group = self._group or max(1, min((self._limit - table) // largest, len(self._buckets)))
        if group * largest + table > self._limit:
            own = f" and {table:,} for the scores of a table ranker" if table else ""
            what = "the largest" if group == 1 else f"{group} together, as the run was begun"
            raise DataError(
                "two buckets of lists must be within memory_limit, with the copies made of them",
                got=f"{group * largest:,} bytes for {what}{own}, memory_limit {self._limit:,}",
                hint="make smaller ones (ultr lists --buckets B), or raise memory_limit"
                + (", or rank by features" if table else ""),
            )
        return int(group)

    @property
    def n_lists(self) -> int:
        """Lists, those without a click included."""
        return self._scan.n_lists

    @property
    def n_clicked(self) -> int:
        """Lists with clicks."""
        return self._scan.n_clicked

    @property
    def at_once(self) -> int:
        """Candidates to be in memory together, about."""
        return self.n_documents * self.group // len(self._buckets)

    def pieces(self, *, with_features: bool) -> Iterator[Lists]:
        """All lists, bucket by bucket."""
        for bucket in self._buckets:
            yield self.reading.read(self._lake, [bucket], with_features=with_features)

    def sessions_of(self, name: str, *, by: str) -> int:
        """Sessions of one split, those without a click included."""
        return self._scan.sessions[f"{name} by {by}"]

    def parts(self, by: str) -> tuple[Part, Lists | Part]:
        """Training and held-out lists; the latter in memory where they take little of it.

        An evaluation from disk reads the whole lake for a tenth of its lists.

        Args:
            by: `query` or `session`.

        Raises:
            DataError: features that need all candidates of a query, of which one is split over
                buckets.
        """
        self._check_whole_queries()
        training, held_out = (
            Part(
                lake=self._lake,
                name=name,
                by=by,
                group=self.group,
                n_features=0 if self.reading.by_pair else self.n_features,
                buckets=self._buckets,
                counts=counts,
                reading=self.reading,
                rows=self.rows,
            )
            for name, counts in self._scan.parts[by].items()
        )
        is_small = 2 * _COPIES_IN_MEMORY * held_out.n_bytes <= self._limit // 4
        return training, held_out.whole() if is_small else held_out

    @cached_property
    def _scan(self) -> _Scan:
        """One pass over all lists, without features."""
        names = ("train", "validation")
        parts = {by: {name: Counter() for name in names} for by in ("query", "session")}
        sessions = dict.fromkeys((f"{name} by {by}" for by in parts for name in names), 0)
        n_lists = n_clicked = 0
        for bucket in self._buckets:
            data = self.reading.read(self._lake, [bucket], with_features=False)
            n_lists += data.n_lists
            n_clicked += data.n_clicked
            for by, found in parts.items():
                for name in names:
                    found[name].add(select_part(data, name, by=by, merge=self.reading.merge))
                    sessions[f"{name} by {by}"] += data.sessions_of(name, by=by)
        counted = {by: {n: c.counts() for n, c in found.items()} for by, found in parts.items()}
        return _Scan(counted, sessions, n_lists, n_clicked)

    def _bytes(self, buckets: tuple[int, ...]) -> int:
        chosen = {str(bucket) for bucket in buckets}
        rows = {
            table: sum(f.rows for f in self._lake.files(table) if str(f.keys["bucket"]) in chosen)
            for table in ("candidates", "lists")
        }
        document = DOCUMENT_BYTES + (0 if self.reading.by_pair else 4 * self.n_features)
        return rows["candidates"] * document + rows["lists"] * LIST_BYTES

    def _check_whole_queries(self) -> None:
        if self.reading.by_pair or self.transform is None or not self.transform.needs_query:
            return
        if any("repeats" in f.keys for f in self._lake.files("candidates")):
            raise DataError(
                "features that are standardised per query need all of its candidates together",
                got="a lake above memory_limit with queries that are split over buckets",
                hint="raise memory_limit, or choose another transform with ultr features",
            )
