"""Trees of arrays in a folder, by Orbax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np


def save_arrays(folder: Path, tree: Any) -> None:
    """Write a nested dictionary of arrays (none of size 0) into a new folder.

    In this thread and without a commit in the background: what Orbax leaves to threads of its own
    can outlive the event loop that they report to.
    """
    import orbax.checkpoint as ocp  # noqa: PLC0415  a second to import, only needed where one saves

    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        checkpointer.save(folder.absolute(), jax.tree.map(np.asarray, tree))


def load_arrays(folder: Path) -> Any:
    """The nested dictionary that `save_arrays` wrote, as NumPy arrays.

    Raises:
        Exception: many kinds, where the folder is damaged; check a seal before.
    """
    import orbax.checkpoint as ocp  # noqa: PLC0415  as above

    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        return jax.tree.map(np.asarray, checkpointer.restore(folder.absolute()))


def named(tree: Any) -> dict[str, Any]:
    """The leaves of any tree by their path in it, such as `state.params.ranker.layers.0.kernel`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
