"""Which rules turn the keys of a job's files into ids, where the first keys do not decide it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ultr.errors import DataError
from ultr.etl.ids import MixedIdsError


class ReadAgainError(Exception):
    """The files have to be read again, by other rules; no error of the user's."""


@dataclass
class IdRules:
    """The rules of a job, which are settled as its files are read.

    The first keys decide which rule a column has. Where later ones break it, all files are read
    again with the widest rule; but a file that turns out unreadable decides nothing, so its keys
    do not count then, and it is not read once more.

    Args:
        chosen: column -> rule, of the user; those that were widened are added.
        open: columns whose rule is still to be found by this reading.
        unreadable: the files that are left out without a look, and why.
    """

    chosen: dict[str, str]
    open: frozenset[str] = frozenset()
    unreadable: dict[str, DataError] = field(default_factory=dict)
    _widened: dict[str, str] = field(default_factory=dict)

    def widen(self, error: DataError, *, source: str) -> None:
        """Read again with a wider rule, if one that was found from the first keys is too narrow.

        Raises:
            ReadAgainError: it is.
        """
        if isinstance(error, MixedIdsError) and error.column in self.open:
            self.chosen[error.column] = "xxh3"
            self._widened[error.column] = source
            raise ReadAgainError from error

    def leave_out(self, error: DataError, *, source: str) -> None:
        """Read again without a file, if it was the one to widen a rule.

        Raises:
            ReadAgainError: it was.
        """
        misled = [column for column, by in self._widened.items() if by == source]
        if misled:
            self.unreadable[source] = error
            for column in misled:
                del self._widened[column], self.chosen[column]
            raise ReadAgainError from error
