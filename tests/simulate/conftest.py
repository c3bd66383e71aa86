import pytest

from ultr.simulate import SimulateConfig, Synthetic, simulate

LETOR = """\
2 qid:7 1:1 2:0.5 #docid = a
0 qid:7 1:0 2:0.1 #docid = b
1 qid:7 1:3 2:0.2 #docid = c
0 qid:9 1:1 2:0.9 #docid = a
1 qid:9 1:5 2:0.7 #docid = d
"""


@pytest.fixture
def letor(tmp_path):
    path = tmp_path / "judged.txt"
    path.write_text(LETOR)
    return path


@pytest.fixture
def run(tmp_path):
    """Simulate a small synthetic set into a folder; returns the folder."""

    def run(name="sim", **settings):
        if "letor" not in settings:
            settings.setdefault("synthetic", Synthetic(queries=20, docs=14, features=8))
        settings.setdefault("sessions", 300)
        simulate(SimulateConfig(out=tmp_path / name, **settings), quiet=True)
        return tmp_path / name

    return run
