"""What a demo is run with, and where it keeps its parts."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ultr.errors import UsageError

MIN_SESSIONS = 1000
"""Fewer leave the held-out splits with next to no clicks."""

METHODS = ("naive", "dla", "ipw")
"""In the order in which they are trained and shown."""


@dataclass(frozen=True)
class DemoConfig:
    """What a demo is run with.

    Args:
        out: folder to write into; an earlier demo in it is replaced.
        sessions: result pages to simulate.
        logging: an order drawn for each session, or one fixed order per query.
        temperature: of plackett-luce: at .1 most documents are seen at two or three ranks, enough
            to tell the bias, and the pages are stable enough for the bias to do its harm.
        eta: severity of position bias.
        seed: of the simulation and of training.
        queries: queries in the log; another 30% are judged only.
        docs: mean documents per query.
        features: features per document.
    """

    out: Path = Path("demo")
    sessions: int = 300_000
    logging: Literal["plackett-luce", "deterministic"] = "plackett-luce"
    temperature: float = 0.1
    eta: float = 1.0
    seed: int = 0
    queries: int = 2000
    docs: int = 40
    features: int = 136

    def __post_init__(self) -> None:
        """Check what the simulation does not.

        Raises:
            UsageError: too few sessions.
        """
        if self.sessions < MIN_SESSIONS:
            raise UsageError(
                f"the demo needs at least {MIN_SESSIONS:,} sessions to learn from",
                got=str(self.sessions),
                hint="ultr demo --sessions 50000",
            )

    @property
    def simulation(self) -> Path:
        """The raw log, features, grades and truth."""
        return self.out / "sim"

    @property
    def truth(self) -> Path:
        """What the simulation planted."""
        return self.simulation / "truth.json"

    @property
    def lake(self) -> Path:
        """The lake made from them."""
        return self.out / "lake"

    @property
    def report(self) -> Path:
        """The page."""
        return self.out / "report.html"

    def run(self, method: str) -> Path:
        """The run of a method."""
        return self.out / "runs" / method

    def command(self) -> str:
        """The command line that runs this demo; sizes of the judged set have no option."""
        words = ["ultr", "demo", "--out", str(self.out)]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (
                field.name in ("sessions", "logging", "temperature", "eta", "seed")
                and value != field.default
            ):
                words += [f"--{field.name}", str(value)]
        return shlex.join(words)
