"""How `ultr ingest` reads raw logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ultr.errors import UsageError
from ultr.etl.ids import parse_rules
from ultr.etl.late import parse_late
from ultr.logs.ubi_actions import CLICKS, IMPRESSIONS, Actions
from ultr.logs.ultra import Labels

Format = Literal["yandex", "baidu", "ubi", "table", "ultra", "letor"]

JOINED = {"ubi": "48h", "yandex": "0"}
"""Formats whose clicks come apart from their pages, and how long these wait by default."""


@dataclass(frozen=True)
class IngestConfig:
    """How to read raw logs.

    Args:
        format: yandex, baidu, ubi, table or ultra.
        mapping: for table, the TOML file that names the columns.
        labels: for ultra, whether labels are grades or clicks.
        max_reject_rate: share of rejected lines above which the job fails.
        on_bad_file: whether a file that cannot be read at all ends the job, or is left out.
        check_content: tell changed files by their bytes, not by size and time.
        id_rules: `query` and `doc` -> rule, instead of the detected one; only for a new lake.
        no_text: keep no text of queries, documents and rejects.
        hash_users: file with the salt under which user and session ids are hashed.
        is_dry_run: read and report, write nothing.
        late: how long an event waits for its page (`48h`, `90m`, `0`), before the newest time of
            its format in the lake; None is 48h for ubi and 0 for yandex.
        ordinal_base: for ubi, the number of the first position, 0 or 1; None finds it out.
        click_actions: for ubi, what the log calls a click; empty for the usual names.
        impression_actions: for ubi, what it calls an impression; empty for the usual names.
    """

    format: Format
    mapping: Path | None = None
    labels: Labels = "grades"
    max_reject_rate: float = 0.05
    on_bad_file: Literal["fail", "skip"] = "fail"
    check_content: bool = False
    id_rules: dict[str, str] = field(default_factory=dict)
    no_text: bool = False
    hash_users: Path | None = None
    is_dry_run: bool = False
    late: str | None = None
    ordinal_base: Literal[0, 1] | None = None
    click_actions: tuple[str, ...] = ()
    impression_actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the combination.

        Raises:
            UsageError: a format that is no log, a mapping or labels for another format, or a rate
                outside 0 to 1.
        """
        if self.format == "letor":
            raise UsageError(
                "a log says at which rank each document was shown, and a LETOR file does not",
                got="--format letor",
                hint="clicks on it: ultr simulate --letor FILE; into a lake: ultr features --from "
                "FILE, and ultr judgments FILE --format letor",
            )
        if self.labels != "grades" and self.format != "ultra":
            raise UsageError(
                "labels are those of --format ultra", got=self.format, hint="leave --labels out"
            )
        if self.mapping is not None and self.format != "table":
            raise UsageError(
                "a mapping goes with --format table", got=self.format, hint="leave --mapping out"
            )
        if not 0 <= self.max_reject_rate <= 1:
            raise UsageError(
                "--max-reject-rate is a share from 0 to 1",
                got=str(self.max_reject_rate),
                hint="for example 0.05",
            )
        parse_rules(self.id_rules)
        self._check_joined()

    def _check_joined(self) -> None:
        own = (self.ordinal_base, self.click_actions or None, self.impression_actions or None)
        if self.format != "ubi" and any(v is not None for v in own):
            raise UsageError(
                "--ordinal-base, --click-action and --impression-action go with --format ubi",
                got=self.format,
                hint="leave them out",
            )
        if self.late is not None and self.format not in JOINED:
            raise UsageError(
                f"--late goes with --format {' or '.join(JOINED)}",
                got=self.format,
                hint="leave --late out",
            )
        parse_late(self.late or "0")
        self.actions()

    def actions(self) -> Actions:
        """What a UBI log calls clicks and impressions."""
        return Actions(self.click_actions or CLICKS, self.impression_actions or IMPRESSIONS)
