"""Who may import whom: two sides that meet in Parquet, a core below, applications above."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import ultr

ROOT = Path(ultr.__file__).parent

CORE = {
    "ahead",
    "schema",
    "split",
    "errors",
    "config",
    "progress",
    "results",
    "commit",
    "lake",
    "manifest",
    "parquet",
    "lake_info",
    "transform",
    "moments",
    "clicks",
    "letor",
    "staleness",
}
TABLE = ("logs", "etl", "sql", "diagnose")
MODEL = ("data", "model", "models", "objectives", "losses", "train", "eval", "serve")
APPLICATIONS = {"simulate", "report", "demo", "jobs", "cli"}

TABLE_ONLY = {"polars", "polars_hash", "duckdb"}
MODEL_ONLY = {"jax", "flax", "optax", "orbax"}
CORE_MAY = {"numpy", "pyarrow", *sys.stdlib_module_names}

# Where the core reaches up, inside the function that needs it.
LAZY = {("lake", "sql"), ("progress", "rich")}


def modules():
    return sorted(ROOT.rglob("*.py"))


def part(path):
    """The first name below `ultr`: a package, a module, or `__init__` for the top."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path, tree=None):
    """(package or part of ultr, whether it is ours, whether inside a function); typing aside."""
    tree = ast.parse(path.read_text("utf-8")) if tree is None else tree
    package = ["ultr", *path.relative_to(ROOT).parent.parts]
    found = []

    def visit(node, *, inside):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                visit(other, inside=inside)
            return
        if isinstance(node, ast.Import):
            found.extend((a.name, inside) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            # `from ultr import sql` imports a part, `from ultr.sql import scan` a name of one.
            parts = [f"{name}.{a.name}" for a in node.names] if name == "ultr" else [name]
            found.extend((n, inside) for n in parts)
        within = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside=within)

    visit(tree, inside=False)
    return [(n.split(".")[1] if n.startswith("ultr.") else n.split(".")[0], n.startswith("ultr"), i)
            for n, i in found]  # fmt: skip


def broken(where, name, *, is_ours, inside):
    """Why part `where` may not import `name`, or None."""
    if is_ours and name in {"__version__", "ultr", where}:
        return None
    if where in CORE:
        fits = name in (CORE if is_ours else CORE_MAY) or ((where, name) in LAZY and inside)
        return None if fits else "the core stands on itself"
    if where in APPLICATIONS:
        heavy = name not in CORE | APPLICATIONS if is_ours else name in TABLE_ONLY | MODEL_ONLY
        return "applications import inside functions" if heavy and not inside else None
    if where in TABLE:
        return broken_side(where, name, is_ours=is_ours, side=TABLE, forbidden=MODEL_ONLY)
    if where in MODEL:
        return broken_side(where, name, is_ours=is_ours, side=MODEL, forbidden=TABLE_ONLY)
    return "a part that the design does not know: add it to a side"


def broken_side(where, name, *, is_ours, side, forbidden):
    if not is_ours:
        return f"{name} belongs to the other side" if name in forbidden else None
    allowed = CORE | set(side[: side.index(where)])
    return None if name in allowed else "only the core and packages to the left"


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_keep_the_direction(path):
    where = part(path)
    if where == "__init__":
        assert {n for n, _, _ in imports(path)} <= {"__future__", "importlib", "typing"}
        return
    if where == "__main__":  # `python -m ultr`: the command line and nothing else
        assert {n for n, _, _ in imports(path)} == {"cli"}
        return
    wrong = {
        f"{where} imports {name}: {reason}"
        for name, is_ours, inside in imports(path)
        if (reason := broken(where, name, is_ours=is_ours, inside=inside))
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("etl/x.py", "import jax"),
        ("etl/x.py", "def f():\n    import jax.numpy as jnp"),
        ("etl/x.py", "from ultr.data import load_lists"),
        ("etl/x.py", "from ultr.sql import scan"),
        ("data/x.py", "import polars as pl"),
        ("data/x.py", "def f():\n    from duckdb import connect"),
        ("data/x.py", "from ultr.train import fit"),
        ("train/x.py", "from ultr import etl"),
        ("train/x.py", "from ..eval import ndcg"),
        ("lake.py", "from ultr.sql import scan"),
        ("lake.py", "def f():\n    import polars"),
        ("schema.py", "import polars"),
        ("demo.py", "from ultr.train import fit"),
        ("demo.py", "import jax"),
        ("unheard_of/x.py", "import json"),
    ],
)
def test_the_rule_can_be_broken(where, source):
    path = ROOT / where
    found = imports(path, ast.parse(source))
    assert any(broken(part(path), n, is_ours=o, inside=i) for n, o, i in found)


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("sql/x.py", "from ultr.etl.ids import to_id\nimport duckdb"),
        ("eval/x.py", "from ultr.train import open_run\nimport jax"),
        ("eval/x.py", "from .ndcg import ndcg"),
        ("lake.py", "def f():\n    from ultr.sql import scan"),
        ("etl/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import jax"),
        ("cli/x.py", "def f():\n    import jax, polars\n    from ultr.train import fit"),
        ("train/x.py", "from ultr import __version__"),
    ],
)
def test_the_rule_can_be_kept(where, source):
    path = ROOT / where
    found = imports(path, ast.parse(source))
    assert not any(broken(part(path), n, is_ours=o, inside=i) for n, o, i in found)


def importable(parts):
    paths = [p for p in modules() if part(p) in parts]
    dotted = [".".join(["ultr", *p.relative_to(ROOT).with_suffix("").parts]) for p in paths]
    names = sorted({d.removesuffix(".__init__") for d in dotted})
    return [n for n in names if importlib.util.find_spec(n) is not None]


@pytest.mark.parametrize(
    ("parts", "forbidden"),
    [
        (TABLE, MODEL_ONLY),
        (MODEL, TABLE_ONLY),
        (CORE, TABLE_ONLY | MODEL_ONLY | {"rich", "click"}),
        (APPLICATIONS, TABLE_ONLY | MODEL_ONLY),
    ],
    ids=["table", "model", "core", "applications"],
)
def test_importing_a_side_does_not_load_the_other(parts, forbidden):
    names = importable(parts)
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({sorted(forbidden)!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
