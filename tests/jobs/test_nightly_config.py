"""The nightly job's TOML takes every option of the commands that it runs."""

import tomllib
from dataclasses import fields

import pytest

from ultr.config import from_mapping
from ultr.errors import UsageError
from ultr.jobs.nightly_config import NightlyConfig, plan

EVERYTHING = """
logs = "logs"
lake = "lake"
work = "work"
[ingest]
format = "ubi"
max_reject_rate = 0.1
on_bad_file = "skip"
check_content = true
id_rules = { doc = "xxh3" }
no_text = true
hash_users = "salt"
late = "7d"
ordinal_base = 0
click_actions = ["buy_click"]
impression_actions = ["seen"]
[features]
source = "f.parquet"
lexical = { fields = ["title"], k1 = 0.9 }
behaviour = { prior = 50.0 }
log = true
refresh = true
remove = []
transforms = { lexical = "log1p" }
period = "week"
min_match = 0
allow_missing = true
memory_gib = 2
[judgments]
source = "tmp_data"
format = "ultra"
[lists]
context = ["device", "height_px:bins=4"]
period = "week"
buckets = 8
memory_gib = 0.5
lists_per_query = 1000
rebuild = true
refit_edges = true
[lists.filters]
max_pages_per_user = 300
drop_click_all = "users"
drop_repeats = true
click_when = "dwell_s>=30"
[evaluate]
queries = "all"
gain = "linear"
max_grade = 4
per_query = "per_query.parquet"
propensities = "curve.parquet"
"""
ELSEWHERE = {"ingest": {"mapping", "labels", "is_dry_run"}}
"""Options of other formats, and the one that a job has no use for."""


def planned(text):
    return plan(from_mapping(NightlyConfig, tomllib.loads(text), where="test"), "test")


def test_every_option_reaches_its_stage():
    typed, written = planned(EVERYTHING), tomllib.loads(EVERYTHING)
    for stage in ("ingest", "features", "judgments", "lists", "evaluate"):
        config, given = getattr(typed, stage), written[stage]
        names = {f.name for f in fields(config)} - ELSEWHERE.get(stage, set())
        assert set(given) == names, stage
        for name, value in given.items():
            found = getattr(config, name)
            parts = value.items() if isinstance(value, dict) else [(None, value)]
            for key, part in parts:
                one = found if key is None else _of(found, key)
                one = list(one) if isinstance(one, tuple) else one
                assert (str(one) if isinstance(part, str) else one) == part, (stage, name)


def _of(found, key):
    return found[key] if isinstance(found, dict) else getattr(found, key)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ingest]\nformat = 'ubi'\nlte = '7d'", r"\[ingest\].*known keys: .*late.*no_text"),
        ("[ingest]\nformat = 'yandex'\nordinal_base = 0", "go with --format ubi"),
        ("[ingest]\nformat = 'ubi'\nis_dry_run = true", "a job writes"),
        ("[lists.filters]\ndrop = 1\n[ingest]\nformat = 'ubi'", "known keys: .*drop_repeats"),
        ("[evaluate]\nmax_grad = 3\n[ingest]\nformat = 'ubi'", r"\[evaluate\].*'max_grade'"),
    ],
)
def test_what_is_not_known_is_told_with_what_is(text, words):
    with pytest.raises(UsageError, match=f"(?s){words}"):
        planned(f"logs = 'a'\nlake = 'b'\nwork = 'c'\n{text}")
