"""`ultr simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option


@click.command()
@click.option(
    "--letor", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
    help="Judged set from LETOR/SVMlight files.",
)  # fmt: skip
@click.argument("more_letor", nargs=-1, type=click.Path(path_type=Path), metavar="")
@click.option("--synthetic", metavar="K=V,…", help="Generate it: queries, docs, features, sigma.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--format",
    default="yandex",
    show_default=True,
    help="Of the log: yandex, baidu, ubi or table.",
)
@click.option("--click-model", default="pbm", show_default=True, help="How users click: pbm.")
@click.option("--eta", default=1.0, show_default=True, help="Severity of position bias.")
@click.option("--epsilon", default=0.1, show_default=True, help="Clicks on irrelevant documents.")
@click.option("--logger", default="weak", show_default=True, help="weak, strong or random.")
@click.option(
    "--logging", default="deterministic", show_default=True, help="deterministic or plackett-luce."
)
@click.option(
    "--temperature", default=1.0, show_default=True, help="Of plackett-luce: .1 hardly shuffles."
)
@click.option("--positions", default=10, show_default=True, help="Documents on a page.")
@click.option("--sessions", default=1_000_000, show_default=True, help="Pages to write.")
@click.option("--seed", default=0, show_default=True, help="Of everything that is drawn.")
@click.option("--force", "is_forced", is_flag=True, help="Write beside other files in --out.")
@json_option
def command(
    *,
    letor: tuple[Path, ...],
    more_letor: tuple[Path, ...],
    synthetic: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Write a raw click log with planted position bias, features, grades and the truth.

    The judged set comes from --letor files (with `qid:`, or with a .query file beside them), or is
    generated with --synthetic.

    \b
    Examples:
      ultr simulate --synthetic queries=2000,docs=40,features=136 --out sim --seed 1
      ultr simulate --letor S1.txt S2.txt --out sim --format table --logging plackett-luce
    """
    from ultr.config import from_mapping
    from ultr.errors import UsageError
    from ultr.simulate import SimulateConfig, Synthetic, simulate

    if more_letor and not letor:
        raise UsageError(
            "files of a judged set follow --letor",
            got=" ".join(map(str, more_letor)),
            hint="ultr simulate --letor FILE... --out DIR",
        )
    judged = {
        "letor": (*letor, *more_letor),
        "synthetic": Synthetic.parse(synthetic) if synthetic is not None else None,
    }
    config = from_mapping(SimulateConfig, {**settings, **judged}, where="ultr simulate")
    result = simulate(config, quiet=as_json)
    emit(result, as_json=as_json, title=f"simulated into {config.out}")
