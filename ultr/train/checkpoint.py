"""Checkpoints of one training: the newest two are kept, and half of one never counts.

Each stands in a folder of its own, `000012/`, which gets that name when all of it is written: the
arrays in `kept/` (Orbax), where training was in `kept/notes.json`, and `seal.json` with the digests
of both. The second newest is for the day on which the newest is damaged.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ultr.errors import DataError
from ultr.manifest import fsync
from ultr.train.arrays import load_arrays, named, save_arrays
from ultr.train.seal import broken_files, write_seal

_KEPT = ("kept",)
_SEAL = "seal.json"


class Saved(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        arrays: name -> NumPy array, named by `ultr.train.arrays.named`.
        notes: JSON.
    """

    arrays: dict[str, np.ndarray[Any, Any]]
    notes: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: made when the first is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, arrays: Any, notes: dict[str, Any]) -> None:
        """Write a checkpoint and drop all but the newest two.

        Args:
            arrays: any tree of arrays, none of size 0.
            notes: JSON.
        """
        number = 1 + max(self._numbers(), default=0)
        new = self.folder / f"{number:06d}.new"
        shutil.rmtree(new, ignore_errors=True)
        (new / "kept").mkdir(parents=True)
        save_arrays(new / "kept" / "arrays", named(arrays))
        _write(new / "kept" / "notes.json", notes)
        write_seal(new / _SEAL, _KEPT)
        fsync(new / _SEAL)
        fsync(new)
        new.rename(self.folder / f"{number:06d}")
        fsync(self.folder)
        self.prune(keep=2)

    def prune(self, *, keep: int) -> None:
        """Drop all but the newest, and what a killed process left."""
        for number in self._numbers()[:-keep]:
            shutil.rmtree(self.folder / f"{number:06d}")
        for left in self.folder.glob("*.new"):
            shutil.rmtree(left)

    def load(self) -> Saved | None:
        """The newest checkpoint that is whole; None where none was ever finished.

        Raises:
            DataError: there are some, and all are damaged.
        """
        damage = None
        for number in reversed(self._numbers()):
            try:
                return self._read(self.folder / f"{number:06d}")
            except DataError as error:
                damage = damage or error
        if damage:
            raise damage
        return None

    def _numbers(self) -> list[int]:
        return sorted(int(p.name) for p in self.folder.glob("[0-9]*") if p.name.isdecimal())

    def _read(self, at: Path) -> Saved:
        try:
            broken = broken_files(at / _SEAL, _KEPT)
            if broken:
                raise ValueError(f"{len(broken)} files are gone or not as written, {broken[0]}")
            notes = json.loads((at / "kept" / "notes.json").read_text(encoding="utf-8"))
            return Saved(load_arrays(at / "kept" / "arrays"), notes)
        except (OSError, ValueError) as error:
            raise DataError(
                "training goes on from a checkpoint that is whole",
                got=f"{at}: {type(error).__name__}: {error}",
                hint=f"delete {self.folder} to repeat this part of the training with --resume, "
                "or begin anew with --overwrite",
            ) from error


def restore(template: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """A tree like `template` with the values of `arrays`, on the devices of the template.

    Raises:
        DataError: other names or shapes than the template's.
    """
    wanted = named(template)
    differ = sorted(
        name
        for name in wanted.keys() | arrays.keys()
        if name not in wanted or name not in arrays or np.shape(wanted[name]) != arrays[name].shape
    )
    if differ:
        raise DataError(
            "a checkpoint fits the model that it was made of",
            got=f"{len(differ)} arrays of another name or shape, first {differ[0]}",
            hint="use the settings and the ultr that it was made with, or begin anew",
        )
    leaves, tree = jax.tree.flatten(template)
    values = [_like(leaf, arrays[name]) for leaf, name in zip(leaves, wanted, strict=True)]
    return jax.tree.unflatten(tree, values)


def _like(leaf: Any, value: np.ndarray[Any, Any]) -> Any:
    if not isinstance(leaf, jax.Array):
        return value.astype(leaf.dtype)
    # A copy: steps donate their buffers, and JAX may share memory with NumPy.
    return jax.device_put(jnp.array(value, leaf.dtype, copy=True), leaf.sharding)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    fsync(path)
