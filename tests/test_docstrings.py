"""What people import says what it takes, what it gives, and what it raises."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import textwrap

import pytest

from ultr.model import RankerSpec

# Where the README, the notebooks and the help of commands send people.
MODULES = (
    "ultr", "ultr.data", "ultr.demo", "ultr.diagnose", "ultr.errors", "ultr.jobs", "ultr.lake",
    "ultr.letor", "ultr.losses", "ultr.model", "ultr.models", "ultr.objectives", "ultr.report",
    "ultr.simulate", "ultr.sql", "ultr.train",
    "ultr.etl.features", "ultr.etl.ingest", "ultr.etl.judgments", "ultr.etl.lists",
    "ultr.eval.compare", "ultr.eval.evaluate", "ultr.eval.ranking", "ultr.report.write",
    "ultr.serve.score",
)  # fmt: skip


def exported(module):
    """Name -> object: what `__all__` says, or what the module defines."""
    names = getattr(module, "__all__", None) or [
        n
        for n, v in vars(module).items()
        if not n.startswith("_") and getattr(v, "__module__", None) == module.__name__
    ]
    return {name: getattr(module, name) for name in names}


def methods(cls):
    # What a ranker's `build` takes is told once, by what all rankers are.
    told = vars(RankerSpec) if cls is not RankerSpec and hasattr(cls, "build") else ()
    return {
        f"{cls.__name__}.{n}": v
        for n, v in vars(cls).items()
        if not n.startswith("_") and inspect.isfunction(v) and n not in told
    }


def public():
    found = {}
    for name in MODULES:
        for export, value in exported(importlib.import_module(name)).items():
            if not (inspect.isfunction(value) or inspect.isclass(value)):
                continue
            found[f"{value.__module__}.{export}"] = value
            if inspect.isclass(value):
                found |= {f"{value.__module__}.{n}": m for n, m in methods(value).items()}
    return found


PUBLIC = public()
FUNCTIONS = {n: v for n, v in PUBLIC.items() if inspect.isfunction(v)}
CLASSES = {n: v for n, v in PUBLIC.items() if inspect.isclass(v)}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def parameters(callable_):
    """Names of what a caller gives."""
    names = inspect.signature(callable_).parameters
    return [n for n in names if n not in ("self", "cls") and not n.startswith("_")]


def listed(doc):
    """Names of the sections Args and Attributes; several may share a line."""
    sections = re.findall(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", doc + "\n", re.MULTILINE)
    heads = re.findall(r"^    (\*{0,2}\w+(?:, \w+)*): ", "".join(sections), re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


def raises(function):
    """The errors of ours that the body itself raises."""
    source = textwrap.dedent(inspect.getsource(function))
    return set(re.findall(r"\braise (UsageError|DataError)\(", source))


def complaints(function):
    """What is missing in the docstring of a function."""
    doc = inspect.getdoc(function) or ""
    if not doc.split("\n")[0].strip():
        yield "says nothing"
        return
    names = parameters(function)
    missing = [n for n in names if n not in listed(doc)]
    # One argument may be told in the sentence.
    if missing and (len(names) > 1 or "Args:" in doc):
        yield f"does not tell {', '.join(missing)}"
    gone = listed(doc) - set(names)
    if gone:
        yield f"tells of {', '.join(sorted(gone))}, which it does not take"
    yield from (f"raises {e} and does not say so" for e in raises(function) if e not in doc)
    returned = str(inspect.signature(function).return_annotation)
    # A mapping of named things needs no more than its sentence; one of anything does.
    if re.match(r"dict\[str, Any\]|tuple\[", returned) and "Returns:" not in doc:
        yield f"does not tell what its {returned} holds"


@each_function
def test_a_function_tells_what_it_takes_gives_and_raises(function):
    assert list(complaints(function)) == []


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_a_class_tells_what_it_is_made_of(cls):
    doc = cls.__doc__ or ""
    assert doc.strip()
    assert not doc.startswith(f"{cls.__name__}("), "the docstring that dataclass makes"
    if dataclasses.is_dataclass(cls):
        fields = [f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")]
        told = listed(inspect.cleandoc(doc))
        assert [f for f in fields if f not in told] == []


def test_an_incomplete_docstring_is_noticed():
    def function(a, b):
        """One line.

        Args:
            a: told.
            c: gone.
        """
        raise UsageError(a, b)  # noqa: F821

    assert list(complaints(function)) == [
        "does not tell b",
        "tells of c, which it does not take",
        "raises UsageError and does not say so",
    ]
