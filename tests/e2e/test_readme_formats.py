"""The commands in the README's table of formats, run as they stand there, as far as lists."""

import gzip
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.logs.family import ULTRA
from tests.test_cli import call
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import open_lake
from ultr.simulate import SimulateConfig, Synthetic, simulate

PROJECT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \| `(ultr ingest [^`]+)` \|", re.MULTILINE)
EXAMPLES = dict(ROW.findall((PROJECT / "README.md").read_text()))
SHOP = (
    "search_id,search_term,sku,product_name,rank,clicked,customer_id,shown_at,device,price_eur,"
    "stock,cart\ns,shoes,k1,Red,1,no,c,2026-01-01,phone,10.5,3,0\n"
)


def simulated(form):
    judged = Synthetic(queries=9, docs=12, features=4)
    simulate(SimulateConfig(out=Path(form), synthetic=judged, sessions=60, format=form))
    return next(Path(form).glob("log.*")).read_bytes()


def write_logs(form):
    if form == "table":
        Path("logs").mkdir()
        Path("logs/a.csv").write_text(SHOP)
        shutil.copy(PROJECT / "pipelines" / "mappings" / "shop.toml", "shop.toml")
    elif form == "ultra":
        for ending, data in ULTRA.items():
            Path("tmp_data/train").mkdir(parents=True, exist_ok=True)
            Path(f"tmp_data/train/train{ending}").write_bytes(data)
        Path("tmp_data/settings.json").write_text(json.dumps({"feature_size": 3, "max_label": 2}))
    elif form == "ubi":
        lines = simulated(form).splitlines(keepends=True)
        is_query = [b'"user_query"' in line for line in lines]
        of = [
            b"".join(x for x, q in zip(lines, is_query, strict=True) if q is w)
            for w in (True, False)
        ]
        Path("ubi_queries.ndjson").write_bytes(of[0])
        Path("ubi_events.ndjson.gz").write_bytes(gzip.compress(of[1]))
    else:
        name = {"baidu": "part-0.gz", "yandex": "search_log.tsv.gz"}[form]
        Path(name).write_bytes(gzip.compress(simulated(form)))


@pytest.mark.parametrize("form", ["baidu", "ubi", "yandex", "table", "ultra"])
def test_the_example_of_each_format_gives_lists(form, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_logs(form)
    code, _, err = call(capsys, *shlex.split(EXAMPLES[form])[1:])
    assert code == 0, err
    lists = build_lists(Path("lake"), config=ListsConfig(), quiet=True)
    assert lists["sessions"] == open_lake(Path("lake")).rows("sessions") > 0
    assert lists["clicks"] > 0 or form == "table"
