"""ULTRA's folders: lists by line numbers, labels as grades or clicks, features by their lists."""

from __future__ import annotations

import json

import pytest

import ultr
from tests.logs.family import ULTRA
from ultr.errors import DataError, UsageError
from ultr.etl.features import add_features
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.judgments import add_judgments
from ultr.etl.lists import ListsConfig, build_lists
from ultr.letor import read_ultra
from ultr.logs import ultra

SETTINGS = {"feature_size": 3, "max_label": 2}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    for split, prefix in (("train", "q"), ("test", "t")):
        (root / split).mkdir(parents=True)
        for ending, data in ULTRA.items():
            renamed = data.replace(b"q", prefix.encode())
            (root / split / f"{split}{ending}").write_bytes(renamed)
    (root / "settings.json").write_text(json.dumps(SETTINGS))
    return root


def pages(path, **options):
    chunks = list(ultra.read(path, **options))
    names = ("query_key", "doc_key", "position", "click")
    return [row for c in chunks for row in c.pages.select(names).rows()], [
        row for c in chunks for row in c.rejects.select("line", "reason").rows()
    ]


def test_lists_are_pages_and_labels_are_clicks_where_that_is_said(folder):
    lists = folder / "train" / "train.init_list"
    shown = [("q1", ["d1", "d0"]), ("q2", ["d0", "d2"]), ("q3", ["d0", "d1"])]
    grades, _ = pages(lists)
    assert grades == [(q, d, [1, 2], [0, 0]) for q, d in shown]
    clicks, rejects = pages(lists, labels="clicks")
    assert [(q, c) for q, _, _, c in clicks] == [("q1", [1, 0]), ("q2", [1, 0]), ("q3", [0, 0])]
    assert rejects == []


@pytest.mark.parametrize(
    ("ending", "line", "reason"),
    [
        (".init_list", "q1 7 0", "lines of the feature file"),
        (".init_list", "q1 x 0", "lines of the feature file"),
        (".init_list", "q1 -1 0", "lines of the feature file"),
        (".init_list", "q1", "lines of the feature file"),
        (".init_list", "q1 1 1", "document twice"),
        (".init_list", "q9 1 0", "another query"),
        (".init_list", "q1 0 1 2 3", "fewer labels"),
        (".labels", "q1 2 0", "neither 0 nor 1"),
    ],
)
def test_a_list_that_does_not_fit_is_a_reject(folder, ending, line, reason):
    path = folder / "train" / f"train{ending}"
    rest = path.read_text().split("\n")[1:]
    path.write_text("\n".join([line, *rest]))
    good, rejects = pages(folder / "train" / "train.init_list", labels="clicks")
    assert [q for q, *_ in good] == ["q2", "q3"]
    assert [n for n, _ in rejects] == [1]
    assert reason in rejects[0][1]


def test_labels_that_are_missing_or_too_many(folder):
    path = folder / "train" / "train.labels"
    path.write_text("q1 0 0\n")
    good, rejects = pages(folder / "train" / "train.init_list")
    assert (len(good), [r for _, r in rejects]) == (1, ["list without labels"] * 2)
    path.write_bytes(ULTRA[".labels"] + b"q4 1\n")
    with pytest.raises(DataError, match="and no more"):
        pages(folder / "train" / "train.init_list")


def test_features_and_grades_stand_by_their_lists(folder):
    found = read_ultra(folder)
    assert found.qid.tolist()[:4] == ["t1", "t1", "t2", "t2"]
    assert found.doc.tolist()[:4] == ["d1", "d0", "d0", "d2"]
    assert found.grade.tolist()[:4] == [1, 0, 1, 0]
    assert found.features[:4].tolist() == [[0, 1, 0], [0.5, 0, 1], [2, 0, 0], [0, 0, 0]]


def test_removed_features_are_left_out_and_those_beyond_the_size(folder):
    (folder / "settings.json").write_text('{"feature_size": 2, "removed_feature_ids": [1, 9]}')
    assert read_ultra(folder).features[:2].tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("settings.json", "{}", "feature_size"),
        ("settings.json", '{"feature_size": 0}', "from 1"),
        ("settings.json", "[", "feature_size"),
        ("train/train.labels", "q1 0.5 0\nq2 1 0\nq3 0 0\n", "--labels clicks"),
        ("train/train.labels", "q1 1\nq2 1 0\nq3 0 0\n", "line 1"),
        ("train/train.labels", "q1 1 0\n", "line of labels"),
        ("train/train.init_list", "q1 1 0\nq2 4 2\nq3 0 1\n", "line 2"),
        ("train/train.feature", "d0 1:x\nd\nd\nd\n", "line 1"),
        ("test/test.init_list", "q1 1 0\nt2 3 2\nt3 0 1\n", "labels of another"),
    ],
)
def test_a_broken_folder_is_one_clear_error(folder, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_ultra(folder)


def test_a_folder_goes_all_the_way_to_lists(folder, tmp_path):
    lake = tmp_path / "lake"
    config = IngestConfig(format="ultra", labels="clicks")
    result = ingest([folder], lake=lake, config=config)
    assert (result["files"], result["sessions"], result["clicks"]) == (2, 6, 4)
    features = add_features(lake, source=folder)
    assert (features["features"], features["match_share"]) == (3, 1.0)
    assert add_judgments(lake, source=folder, format="ultra")["rows"] == 12
    assert build_lists(lake, config=ListsConfig())["sessions"] == 6
    assert ultr.load_lists(lake).features.shape[1] == 3


def test_a_change_of_any_file_of_a_split_reads_it_again(folder, tmp_path):
    lake, config = tmp_path / "lake", IngestConfig(format="ultra", labels="clicks")
    ingest([folder], lake=lake, config=config)
    (folder / "train" / "train.labels").write_text("q1 0 0\nq2 0 0\nq3 0 0\n")
    again = ingest([folder], lake=lake, config=config)
    assert (again["files"], again["files_skipped"], again["clicks"]) == (1, 1, 0)


def test_what_is_no_folder_of_ultra(folder, tmp_path):
    for source, message in ((tmp_path, "settings.json"), (folder / "settings.json", "init_list")):
        with pytest.raises((DataError, UsageError), match=message):
            ingest([source], lake=tmp_path / "lake", config=IngestConfig(format="ultra"))
    (folder / "train" / "train.feature").unlink()
    with pytest.raises(DataError, match=r"\.feature"):
        ingest([folder], lake=tmp_path / "lake", config=IngestConfig(format="ultra"))
    assert not (tmp_path / "lake").exists()


def test_letor_says_no_ranks():
    with pytest.raises(UsageError, match="ultr simulate --letor"):
        IngestConfig(format="letor")
