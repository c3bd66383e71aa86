"""What a simulation is run with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ultr.clicks import CLICK_MODELS, User, examination
from ultr.config import from_mapping, parse_assignments
from ultr.errors import UsageError

FORMATS = ("yandex", "baidu", "ubi", "table")
LOGGERS = ("weak", "strong", "random")
LOGGINGS = ("deterministic", "plackett-luce")

Logger = Literal["weak", "strong", "random"]
Logging = Literal["deterministic", "plackett-luce"]


@dataclass(frozen=True)
class Synthetic:
    """A generated judged set.

    Args:
        queries: queries that are logged; another 30% are judged only.
        docs: mean documents per query, uniform between half of it and one and a half.
        features: features per document.
        sigma: standard deviation of what the features do not tell of relevance.
    """

    queries: int = 2000
    docs: int = 40
    features: int = 136
    sigma: float = 0.3

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            UsageError: a size below 1, fewer than 2 documents, or a negative σ.
        """
        if self.queries < 1 or self.docs < 2 or self.features < 1 or not 0 <= self.sigma < 1e6:
            raise UsageError(
                "a synthetic set has queries ≥ 1, docs ≥ 2, features ≥ 1 and sigma ≥ 0",
                got=str(self),
                hint="for example --synthetic queries=2000,docs=40,features=136",
            )

    @classmethod
    def parse(cls, text: str) -> Synthetic:
        """Read `queries=2000,docs=40,features=136,sigma=0.3`; what is left out takes the default.

        Raises:
            UsageError: an unknown key or a value of another type.
        """
        values = parse_assignments(text.split(","), option="--synthetic")
        return from_mapping(cls, values, where="--synthetic")


@dataclass(frozen=True)
class SimulateConfig:
    """A simulation; all that it writes is a function of these values.

    Args:
        out: folder to write into.
        letor: judged set from files; either this or `synthetic`.
        synthetic: judged set that is generated.
        format: of the log, `yandex`, `baidu`, `ubi` or `table`.
        click_model: a name in `ultr.clicks.CLICK_MODELS`.
        eta: severity of position bias.
        epsilon: click noise.
        logger: how much the logging policy knows of relevance.
        logging: always the same ranking, or one drawn for each session.
        temperature: of plackett-luce, by which scores of deviation 1 within a query are divided:
            at 1 most documents are seen at every rank, at .1 pages hardly change.
        positions: documents on a page.
        sessions: pages to write.
        seed: of everything.
        is_forced: write into a folder that holds other things.
    """

    out: Path
    letor: tuple[Path, ...] = ()
    synthetic: Synthetic | None = None
    format: str = "yandex"
    click_model: str = "pbm"
    eta: float = 1.0
    epsilon: float = 0.1
    logger: Logger = "weak"
    logging: Logging = "deterministic"
    temperature: float = 1.0
    positions: int = 10
    sessions: int = 1_000_000
    seed: int = 0
    is_forced: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Check what can be checked before any file is read.

        Raises:
            UsageError: an unknown name, a number out of range, or not exactly one judged set.
        """
        if bool(self.letor) == (self.synthetic is not None):
            raise UsageError(
                "the judged set comes from LETOR files or is generated",
                got="both" if self.letor else "neither",
                hint="give --letor FILE... or --synthetic queries=2000,docs=40,features=136",
            )
        _one_of("--format", self.format, FORMATS)
        _one_of("--click-model", self.click_model, tuple(CLICK_MODELS))
        _one_of("--logger", self.logger, LOGGERS)
        _one_of("--logging", self.logging, LOGGINGS)
        if not 0.05 <= self.temperature <= 100:
            raise UsageError(
                "the temperature of the logging policy is from 0.05 to 100",
                got=str(self.temperature),
                hint="--temperature 1 shuffles pages well, 0.1 hardly",
            )
        if self.sessions < 1 or self.seed < 0:
            raise UsageError(
                "sessions is a number from 1, and seed one from 0",
                got=f"sessions {self.sessions}, seed {self.seed}",
                hint="for example --sessions 100000 --seed 1",
            )
        examination(User(eta=self.eta, epsilon=self.epsilon), positions=self.positions)


def _one_of(option: str, value: Any, names: tuple[str, ...], *, note: str = "") -> None:
    if value not in names:
        raise UsageError(
            f"{option} is one of {', '.join(names)}{note}",
            got=repr(value),
            hint=f"{option} {names[0]}",
        )
