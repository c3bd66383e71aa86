"""The command line: parse, call one function, print what it returns.

Commands are imported when they are called, so that `ultr sql` never waits for JAX.
"""

from __future__ import annotations

import importlib
import os
import select
import sys
from typing import Any, TextIO

import click

from ultr.errors import UltrError

COMMANDS = {
    "ingest": "raw logs -> sessions and rejects in a lake",
    "features": "feature values of (query, document) pairs -> lake",
    "judgments": "relevance grades -> lake, for evaluation only",
    "lists": "sessions -> what training reads: splits, equal pages once, exposures",
    "train": "fit a ranker and the position bias together (DLA), or a baseline",
    "score": "scores of a run for a lake or a feature file",
    "evaluate": "nDCG, ERR, MRR on grades; without grades, what held-out clicks say",
    "compare": "two or more runs on the same queries, with intervals and p-values",
    "diagnose": "is the log fit to learn from, and what is its position bias",
    "report": "one HTML page of a run for people who decide",
    "sql": "ask the lake: a SELECT, a named query, or a prompt",
    "simulate": "clicks with planted position bias, as raw logs",
    "demo": "the whole way on simulated clicks, with a page of figures",
    "job": "run the whole way as a restartable batch job",
    "lake": "look at a lake and tidy it",
}
"""Every command and its one line; the module is `ultr.cli.<name>`, its command `command`."""


class _Lazy(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"ultr.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if _has_reader(sys.stdout):
                raise  # another pipe: the work was not done
            # The reader of our output went away (`ultr sql … | head`): not an error of ours. What
            # is still buffered goes nowhere, or Python would complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _has_reader(stream: TextIO) -> bool:
    """Whether what is written to a stream still goes somewhere."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ultr")
def cli() -> None:
    """From raw search click logs to a ranker without position bias.

    \b
    Start here:    ultr demo --out demo
    Your own log:  ultr ingest, features, lists, diagnose, train, evaluate, report, score
    Examples:      ultr COMMAND --help
    """


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: exit code 0, 1 for bad data, 2 for bad usage."""
    try:
        cli.main(arguments, prog_name="ultr", standalone_mode=False)
    except UltrError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing half-written was kept", err=True)
        sys.exit(130)
