"""The notebooks: they run on a small demo, and what is committed is whole, small and anybody's."""

import json
import re

import pytest

from ultr.demo import DemoConfig, demo

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

from notebooks.execute import NOTEBOOKS, execute  # noqa: E402

MOST_BYTES = 200_000
A_PATH = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|usr|work|var|opt|Users|mnt|data)/|\b[A-Z]:\\\\|/\.venv/"
)

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def outputs(notebook):
    return [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]


def test_there_are_five():
    assert [p.name[0] for p in NOTEBOOKS] == list("12345")


# One test for all of them: run apart, each worker would make a demo of its own.
@pytest.mark.filterwarnings("default")  # of Jupyter's own packages
def test_they_run_on_a_small_demo(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    demo(DemoConfig(out=tmp_path / "demo", sessions=8_000, queries=100, docs=15, features=8))
    for path in NOTEBOOKS:
        notebook = execute(path, folder=folder)
        found = outputs(notebook)
        assert found, path.name
        kept = outputs(nbformat.read(path, as_version=4))
        # The cells are those whose outputs are committed: same number, same kinds.
        assert [kind(o) for o in found] == [kind(o) for o in kept], path.name


def kind(output):
    return output.get("name", output.output_type), sorted(output.get("data", {}))


@by_name
def test_what_is_committed_was_run_from_top_to_bottom(path):
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert sum(bool(c.outputs) for c in code) >= 0.5 * len(code)
    kinds = {
        o.output_type if o.output_type != "stream" else o.name for c in code for o in c.outputs
    }
    assert kinds <= {"stdout", "execute_result"}  # no error, nothing on standard error


@by_name
def test_what_is_committed_is_small_and_tells_nothing_of_a_machine(path):
    text = path.read_text("utf-8")
    assert len(text) < MOST_BYTES
    assert A_PATH.findall(text) == []
    assert set(json.loads(text)["metadata"]) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("text", ["in /tmp/x/lake", "/home/me/demo", "a /opt/app/.venv/lib"])
def test_a_path_of_a_machine_is_recognised(text):
    assert A_PATH.search(text)


@by_name
def test_a_notebook_is_short_and_begins_with_what_it_is_for(path):
    cells = nbformat.read(path, as_version=4).cells
    assert 8 <= len(cells) <= 17
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith(f"# {path.name[0]}. ")
