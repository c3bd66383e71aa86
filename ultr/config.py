"""Frozen dataclasses as configurations: typed, checked, and unknown keys fail."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ultr.errors import UsageError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Build the dataclass `cls` from `values`, checking names and types.

    Args:
        cls: a dataclass whose field types are bool, int, float, str, tuples or unions of them,
            optional ones, literals, or nested dataclasses.
        values: field name -> value; missing fields take their defaults.
        where: what the values come from, for error messages ("train.toml", "--set").

    Raises:
        UsageError: an unknown key (the known ones are listed), a missing one, or a wrong type.
    """
    checked = typed_values(cls, values, where=where)
    for name, field in _fields(cls).items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise UsageError(
                f"{where}: the key {name!r} is required", got="no such key", hint=f"add {name} = …"
            )
    return cls(**checked)


def typed_values(cls: type[Any], values: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Check names and types of some of the fields of `cls`, as one of several sources gives them.

    Raises:
        UsageError: an unknown key (the known ones are listed), or a wrong type.
    """
    hints, fields = typing.get_type_hints(cls), _fields(cls)
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            raise UsageError(
                f"{where}: every key must be a known one",
                got=f"{key!r}",
                hint=(f"did you mean {close[0]!r}? " if close else "")
                + f"known keys: {', '.join(sorted(fields))}",
            )
    return {k: _coerce(v, hints[k], where=f"{where}: {k}") for k, v in values.items()}


def _fields(cls: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    assert dataclasses.is_dataclass(cls)  # noqa: S101  a programming error, not a user's
    return {f.name: f for f in dataclasses.fields(cls) if f.init}


def parse_assignments(assignments: Sequence[str], *, option: str = "--set") -> dict[str, Any]:
    """Turn `["seed=1", "hidden=[64,32]"]` into a mapping; values are JSON, else plain text.

    Raises:
        UsageError: an item without `=`.
    """
    out: dict[str, Any] = {}
    for key, text in split_assignments(assignments, option=option).items():
        try:
            out[key] = json.loads(text)
        except json.JSONDecodeError:
            out[key] = text
    return out


def split_assignments(assignments: Sequence[str], *, option: str) -> dict[str, str]:
    """Turn `["q=7", "name=x"]` into a mapping of texts.

    Raises:
        UsageError: an item without `=`.
    """
    out = {}
    for item in assignments:
        key, sep, text = item.partition("=")
        if not sep or not key:
            raise UsageError(
                f"{option} takes KEY=VALUE", got=item, hint=f"for example {option} n=1"
            )
        out[key.strip()] = text
    return out


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UsageError: no such file, or text that is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            "the configuration file must be readable",
            got=f"{path}: {error.strerror}",
            hint="check the path",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            "the configuration file must be TOML",
            got=f"{path}: {error}",
            hint="see https://toml.io for the syntax",
        ) from error


def _coerce(value: Any, hint: Any, *, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(value, args, where=where)
    if origin is typing.Literal:
        if value in args:
            return value
        raise _wrong(where, value, "one of " + ", ".join(map(repr, args)))
    if origin is tuple and isinstance(value, list | tuple):
        inner = args[0] if args else Any
        return tuple(_coerce(v, inner, where=where) for v in value)
    if origin is tuple:
        example = {int: "[64, 32]", str: '["a", "b"]'}.get(args[0] if args else Any, "[…]")
        raise _wrong(where, value, f"a list, as in {example}")
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(typing.cast(type[Any], hint), value, where=where)
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    return _coerce_scalar(value, hint, where=where)


def _coerce_scalar(value: Any, hint: Any, *, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        raise _wrong(where, value, "int")
    if isinstance(hint, type) and isinstance(value, hint):
        return value
    if hint is Path and isinstance(value, str):
        return Path(value)
    raise _wrong(where, value, getattr(hint, "__name__", str(hint)))


def _coerce_union(value: Any, options: tuple[Any, ...], *, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    some = [option for option in options if option is not type(None)]
    if len(some) == 1:
        return _coerce(value, some[0], where=where)
    for option in some:
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            return _coerce(value, option, where=where)  # what is wrong in it says it best
        try:
            return _coerce(value, option, where=where)
        except UsageError:
            continue
    names = " or ".join(getattr(o, "__name__", str(o)) for o in some)
    raise _wrong(where, value, names)


def _wrong(where: str, value: Any, expected: str) -> UsageError:
    return UsageError(
        f"{where} must be {expected}",
        got=f"{value!r} ({type(value).__name__})",
        hint="change the value",
    )
