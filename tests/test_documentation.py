"""Every command, table, column, named query and method is told in words somewhere."""

import re
from pathlib import Path
from typing import get_args

import pytest

from ultr.cli import COMMANDS
from ultr.schema import TABLES
from ultr.sql.catalog import catalog, named_catalog
from ultr.sql.describe import names_text, schema_text, views_text
from ultr.sql.named import named_queries

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
VIEWS = catalog() | named_catalog()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_knows_each_command(name):
    assert f"`ultr {name}`" in README


@pytest.mark.parametrize("name", TABLES)
def test_the_readme_knows_each_table(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda v: v.name)
def test_each_view_and_query_and_their_columns_have_a_meaning(view):
    assert view.purpose.split()
    assert view.columns
    for name, _, meaning in view.columns:
        assert len(meaning) > 3, name
    text = schema_text(view.name)
    assert all(name in text and meaning in text for name, _, meaning in view.columns)


def test_each_parameter_has_a_meaning_and_is_listed():
    text = names_text()
    for query in named_queries().values():
        assert query.name in text
        assert set(query.parameters) == set(query.defaults)
        for name, meaning in query.parameters.items():
            assert meaning.split()
            assert f"--param {name}=…  {meaning}" in text


def test_the_list_of_views_is_whole():
    assert all(f"  {name} " in views_text() for name in catalog())


def test_each_method_is_told_where_settings_are():
    from ultr.train.config import Method, TrainConfig

    told = TrainConfig.__doc__.split("method:")[1].split("correction:")[0]
    assert [m for m in get_args(Method) if m not in told] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_of_the_readmes_table_exists(name):
    import click

    from ultr.cli import cli

    (row,) = re.findall(rf"^\| `ultr {name}` \| (.*) \|$", README, re.MULTILINE)
    command = cli.get_command(click.Context(cli), name)
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    known |= set(getattr(command, "commands", ()))
    told = re.findall(r"`(--[\w-]+|\w+)[^`]*`", row) if name in ("ingest", "sql", "lake") else []
    told += re.findall(r"`(--[\w-]+)[^`]*`", row)
    assert [t for t in told if t not in known] == []


def test_severities_and_states_of_a_diagnosis_are_told():
    from ultr.cli.diagnose import command
    from ultr.diagnose.finding import SEVERITIES
    from ultr.diagnose.result import State

    told = set(re.findall(r"\w+", command.help))
    assert told >= set(SEVERITIES)
    assert all(f"*{state}*" in README for state in get_args(State) if state != "unknown")
