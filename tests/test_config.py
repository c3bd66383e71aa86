from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from ultr.config import from_mapping, parse_assignments, read_toml
from ultr.errors import DataError, UsageError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclass(frozen=True)
class Config:
    name: str
    seed: int = 0
    rate: float = 1.0
    is_on: bool = False
    mode: Literal["a", "b"] = "a"
    hidden: tuple[int, ...] = (64,)
    out: Path | None = None
    columns: tuple[str, ...] | None = None
    either: int | str = 0
    inner: Inner = field(default_factory=Inner)
    free: dict[str, Any] = field(default_factory=dict)


def build(**values):
    return from_mapping(Config, {"name": "x", **values}, where="test.toml")


def test_missing_values_take_their_defaults():
    assert build() == Config("x")


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("rate", 2, 2.0),
        ("hidden", [8, 4], (8, 4)),
        ("hidden", [], ()),
        ("out", "a/b", Path("a/b")),
        ("out", None, None),
        ("either", "text", "text"),
        ("either", 3, 3),
        ("mode", "b", "b"),
        ("inner", {"rate": 1}, Inner(1.0)),
        ("free", {"anything": [1]}, {"anything": [1]}),
    ],
)
def test_values_take_the_declared_type(key, given, kept):
    found = getattr(build(**{key: given}), key)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("seed", 1.5),
        ("seed", True),
        ("seed", "1"),
        ("is_on", 1),
        ("is_on", "False"),
        ("rate", "fast"),
        ("rate", True),
        ("mode", "c"),
        ("hidden", 64),
        ("hidden", [64, "x"]),
        ("hidden", [True]),
        ("out", 3),
        ("either", 1.5),
        ("name", None),
        ("inner", 3),
    ],
)
def test_wrong_types_name_the_key_and_the_place(key, given):
    with pytest.raises(UsageError, match=rf"test\.toml: {key}"):
        build(**{key: given})


def test_what_may_be_left_out_is_told_as_what_it_is():
    with pytest.raises(UsageError, match=r'columns must be a list, as in \["a", "b"\]'):
        build(columns="device")


def test_unknown_keys_list_the_known_ones_and_guess():
    with pytest.raises(UsageError, match="did you mean 'seed'") as caught:
        build(sede=1)
    assert "hidden" in caught.value.hint
    with pytest.raises(UsageError, match="known keys: rate"):
        build(inner={"speed": 1})


def test_required_keys_are_named():
    with pytest.raises(UsageError, match="'name' is required"):
        from_mapping(Config, {}, where="test.toml")


def test_assignments_are_json_or_text():
    given = ["seed=1", "rate=1e-3", "hidden=[8,4]", "mode=b", "is_on=true", "name=a=b", "out="]
    assert parse_assignments(given) == {
        "seed": 1,
        "rate": 1e-3,
        "hidden": [8, 4],
        "mode": "b",
        "is_on": True,
        "name": "a=b",
        "out": "",
    }


@pytest.mark.parametrize("item", ["seed", "=1", ""])
def test_an_assignment_needs_a_key_and_a_value(item):
    with pytest.raises(UsageError, match="--param takes KEY=VALUE"):
        parse_assignments([item], option="--param")


def test_toml_is_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('name = "ä"\n[inner]\nrate = 2\n', encoding="utf-8")
    assert read_toml(path) == {"name": "ä", "inner": {"rate": 2}}


@pytest.mark.parametrize("content", [b"name =", b"\xff\xfe", None])
def test_a_bad_toml_file_is_told(tmp_path, content):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.toml"):
        read_toml(path)


def test_errors_say_rule_got_and_next():
    error = DataError("the rule", got="that", hint="try this")
    assert str(error) == "the rule.\n  got:  that\n  next: try this"
    assert (DataError.exit_code, UsageError.exit_code) == (1, 2)
