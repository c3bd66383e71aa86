"""A folder that is not a run's is left as it is, whatever names stand in it."""

from __future__ import annotations

import pytest

from ultr.errors import UsageError
from ultr.train.folder import check_folder

FOREIGN = {
    "a file": {"notes.txt": "mine"},
    "another program's model": {"config.json": '{"model_type": "bert"}', "checkpoint/w": "0"},
    "a list": {"config.json": "[]"},
    "no JSON": {"config.json": "settings = 1"},
    "a folder of the same name": {"training/day-1.csv": "1"},
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_what_others_wrote_is_no_run(tmp_path, files, overwrite):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="something else"):
        check_folder(tmp_path, overwrite=overwrite, resume=False)


def test_a_training_that_was_killed_at_once_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / ".lock").touch()
    check_folder(tmp_path, overwrite=False, resume=False)
