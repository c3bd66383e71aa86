"""`ultr features`: feature values into the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option


@click.command("features", short_help="feature values of (query, document) pairs -> lake")
@click.option("--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Parquet, CSV or TSV with query_id, doc_id and a column per feature or lists of features "
    "(embeddings); or LETOR / SVMlight lines (.txt, .svm …); or a folder of ULTRA.",
)
@click.option("--lexical", is_flag=True, help="BM25, TF-IDF, query likelihood … of the texts.")
@click.option("--behaviour", is_flag=True, help="Impressions, clicks, CTR … of earlier periods.")
@click.option("--log", is_flag=True, help="Values that stand in the log itself.")
@click.option("--refresh", is_flag=True, help="Make what comes from the log again, as before.")
@click.option("--remove", multiple=True, metavar="GROUP", help="file, log, lexical or behaviour.")
@click.option(
    "--transform",
    "transforms",
    multiple=True,
    metavar="NAME=KIND",
    help="For a group, a feature or the dotted beginning of some: standardise, log1p, "
    "log1p+standardise, per-query, none, default.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help='lexical.fields=["title"], lexical.k1=0.9, lexical.b, lexical.jm_lambda, '
    "lexical.dirichlet_mu, lexical.absolute_delta, behaviour.prior=20.",
)
@click.option(
    "--period",
    type=click.Choice(["auto", "day", "week"]),
    default="auto",
    show_default=True,
    help="Of features that depend on time; auto is what they have, else day.",
)
@click.option(
    "--min-match",
    type=float,
    default=0.5,
    show_default=True,
    help="Least share of the log's pairs that must have features, or texts; 0 takes any.",
)
@click.option("--allow-missing", is_flag=True, help="NaN means missing: the mean, in training.")
@click.option(
    "--memory-gib",
    type=float,
    default=1.0,
    show_default=True,
    help="What DuckDB may hold before it spills to the lake's disk.",
)
@json_option
def command(
    *,
    lake: Path,
    lexical: bool,
    behaviour: bool,
    transforms: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Make, replace or remove groups of features; run `ultr lists` after it.

    A group that is made again replaces what it was; the others stay. Keys of a file are those of
    the log. Behaviour of a period is that of earlier periods, never its own.

    \b
    Examples:
      ultr features --lake lake --from features.parquet
      ultr features --lake lake --from features.csv --min-match 0 --allow-missing
      ultr features --lake lake --lexical --behaviour
      ultr features --lake lake --lexical --set 'lexical.fields=["title"]' --set lexical.k1=0.9
      ultr features --lake lake --behaviour --period week --set behaviour.prior=50
      ultr features --lake lake --log --transform log.price=log1p+standardise
      ultr features --lake lake --transform lexical.bm25=per-query --transform file=none
      ultr features --lake lake --refresh            (after a new night of logs)
      ultr features --lake lake --remove behaviour
    """
    from ultr.config import from_mapping, parse_assignments
    from ultr.etl.features import FeaturesConfig, add_features

    flags = {"lexical": lexical, "behaviour": behaviour}
    values = options | _nested(parse_assignments(settings), flags)
    values["transforms"] = _kinds(transforms)
    config = from_mapping(FeaturesConfig, values, where="ultr features")
    result = add_features(lake, config=config)
    emit(result, as_json=as_json, title=f"features of {lake}")


def _nested(settings: dict[str, Any], flags: dict[str, bool]) -> dict[str, Any]:
    """`lexical.k1` -> `lexical: {k1: …}`, for the groups that are asked for."""
    from ultr.errors import UsageError

    groups: dict[str, Any] = {name: {} for name, is_on in flags.items() if is_on}
    for key, value in settings.items():
        group, _, name = key.partition(".")
        if group not in groups or not name:
            raise UsageError(
                "--set takes settings of a group that is made",
                got=key,
                hint="for example: --lexical --set lexical.k1=0.9",
            )
        groups[group][name] = value
    return groups


def _kinds(transforms: tuple[str, ...]) -> dict[str, str]:
    from ultr.errors import UsageError

    wrong = [t for t in transforms if not all(t.partition("="))]
    if wrong:
        raise UsageError(
            "--transform takes NAME=KIND", got=wrong[0], hint="for example lexical=log1p"
        )
    return {name: kind for name, _, kind in (t.partition("=") for t in transforms)}
