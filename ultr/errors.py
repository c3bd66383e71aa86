"""The ways a command can fail, each told as rule, what came, and what to do next."""

from __future__ import annotations


class UltrError(Exception):
    """An error a user can act on.

    Args:
        rule: what has to hold, as a sentence without a full stop.
        got: what came instead.
        hint: what to do next; often the command to try.
    """

    exit_code = 1

    def __init__(self, rule: str, *, got: str, hint: str) -> None:
        self.rule, self.got, self.hint = rule, got, hint
        super().__init__(f"{rule}.\n  got:  {got}\n  next: {hint}")


class DataError(UltrError):
    """The data breaks a rule (exit code 1)."""


class UsageError(UltrError):
    """The call itself is wrong: a flag, a key or a combination of them (exit code 2)."""

    exit_code = 2


class StoppedError(UltrError):
    """A signal stopped the work, and what was done is kept (exit code 128 + the signal's number).

    Args:
        rule: as above.
        got: as above.
        hint: as above.
        exit_code: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, rule: str, *, got: str, hint: str, exit_code: int) -> None:
        super().__init__(rule, got=got, hint=hint)
        self.exit_code = exit_code
