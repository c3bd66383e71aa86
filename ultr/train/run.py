"""A run: the folder that training leaves, opened again to score and to look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from flax import nnx
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.context import BiasColumn, translated
from ultr.errors import DataError
from ultr.model import PositionBias
from ultr.train.arrays import load_arrays, named, save_arrays
from ultr.train.run_files import check_checkpoint, read_run_files, read_run_table, seal_checkpoint
from ultr.train.step import list_scores, scores_lists
from ultr.transform import Transform, as_groups, as_matrix

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

_CHUNK = 65_536
_COMPARED = 1024
"""Documents scored together by a ranker that compares those of a query: work grows as the square.
"""


@dataclass(frozen=True)
class Run:
    """A trained ranker with its propensities.

    Args:
        root: the run's folder.
        config: what `config.json` holds: the settings, the sizes and the lake.
        ranker: the ranking model.
        propensity: the propensity model.
        transform: how raw features become the ranker's input; None for the table ranker.
        summary: what training reported at its end.
        compares: whether a document's score depends on the others of its query.
        bias: columns of the bias context that the propensities depend on.
    """

    root: Path
    config: dict[str, Any]
    ranker: nnx.Module
    propensity: nnx.Module
    transform: Transform | None
    summary: dict[str, Any]
    compares: bool = False
    bias: tuple[BiasColumn, ...] = ()

    @property
    def propensities(self) -> pa.Table:
        """`position, propensity` and bias columns: examination relative to the first position."""
        return read_run_table(self.root, "propensities.parquet")

    @property
    def reads(self) -> str:
        """What the ranker is given: `features`, or `row` for one parameter per pair."""
        return str(self.config["reads"])

    def score(
        self, features: NDArray[np.floating[Any]], query: NDArray[np.integer[Any]] | None = None
    ) -> Floats:
        """Relevance scores `[N]` of documents with raw features `[N, F]`.

        Args:
            features: raw values, in the order of training; NaN where missing.
            query: `[N]` which query each document belongs to, for rankers that compare documents.

        Raises:
            DataError: not a matrix of numbers, another number of features, or a run that does not
                rank by features.
        """
        if self.transform is None:
            raise DataError(
                "only a ranker on features can score features",
                got=f"{self.root} has one parameter per (query, document)",
                hint="train with --ranker mlp on a lake with features",
            )
        features = as_matrix(features)
        own = self.transform.by_query(features, query) if self.transform.needs_query else None
        return self._score_raw(features, query, own)

    def _score_raw(
        self,
        features: NDArray[np.floating[Any]],
        query: NDArray[np.integer[Any]] | None,
        own: Floats | None,
    ) -> Floats:
        transform = self.transform
        assert transform is not None  # noqa: S101  a ranker on features has one
        groups = np.zeros(len(features), np.int32)
        if query is not None:
            groups = as_groups(query, size=len(features))
        out = np.zeros(len(features), np.float32)
        for part in self._parts(groups):
            chunk = transform.apply(features[part], own=None if own is None else own[part])
            out[part] = self._score_inputs(chunk, groups[part])
        return out

    def _parts(self, groups: NDArray[np.int32]) -> Iterator[Any]:
        """Which documents are scored together: any, or whole queries where they are compared."""
        if not self.compares:
            yield from (slice(i, i + _CHUNK) for i in range(0, len(groups), _CHUNK))
            return
        order = np.argsort(groups, kind="stable")
        # Some of the places where another query begins: as far apart as the chunk allows.
        begins = np.flatnonzero(np.diff(groups[order], prepend=np.int32(-1)))
        ends = np.append(begins[1:], len(order))
        begin = 0
        while begin < len(order):
            fits = int(np.searchsorted(ends, begin + _COMPARED, side="right"))
            first = int(np.searchsorted(ends, begin, side="right"))  # fits or not
            end = int(ends[max(fits - 1, first)])
            yield order[begin:end]
            begin = end

    def score_candidates(
        self, query_id: Longs, doc_id: Longs, features: NDArray[np.floating[Any]] | None
    ) -> Floats:
        """Scores `[N]` of a lake's candidates.

        A pair that the table ranker has never seen scores 0, the value its parameters start from.

        Args:
            query_id: `[N]`.
            doc_id: `[N]`.
            features: `[N, F]` raw values, for rankers on features.

        Raises:
            DataError: no features, for a run that ranks by them.
        """
        if self.reads == "features":
            if features is None:
                raise DataError(
                    "this run ranks by features",
                    got="documents without features",
                    hint="run: ultr features --from FILE, then ultr lists",
                )
            return self.score(features, np.unique(query_id, return_inverse=True)[1])
        at, is_known = self._find(query_id, doc_id)
        return np.where(is_known, self._known_pairs["scores"][at], 0.0).astype(np.float32)

    def is_known(self, query_id: Longs, doc_id: Longs) -> NDArray[np.bool_]:
        """`[N]` whether the table ranker has a parameter for each pair.

        Args:
            query_id: `[N]`.
            doc_id: `[N]`.
        """
        return self._find(query_id, doc_id)[1]

    def _find(self, query_id: Longs, doc_id: Longs) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        pairs, wanted = self._known_pairs["pairs"], _pairs(query_id, doc_id)
        at = np.searchsorted(pairs, wanted).clip(max=len(pairs) - 1)
        return at, pairs[at] == wanted

    def list_logits(self, data: Lists) -> tuple[Floats, Floats]:
        """Both towers on a lake's lists; together they explain its clicks.

        Returns:
            Ranker scores f and propensity logits g, both `[L, K]`. Where the ranker was corrected
            by a share of the log propensities, g is that share.
        """
        propensity: Any = self.propensity
        f = np.where(data.where, self._list_scores(data), 0.0).astype(np.float32)
        context = translated(data, self.bias)
        g = propensity(jnp.asarray(data.position), jnp.asarray(np.maximum(context, 0)))
        return f, np.asarray(g, np.float32) * np.float32(self.summary.get("strength", 1.0))

    def knows_context(self, data: Lists) -> NDArray[np.bool_]:
        """`[L, K]` whether training saw levels like those of an impression.

        Raises:
            DataError: a bias column of the run that the lists do not have.
        """
        return np.asarray((translated(data, self.bias) >= 0).all(axis=-1))

    def _list_scores(self, data: Lists) -> Floats:
        if not (self.reads == "features" and self.transform is not None and data.n_features):
            query_id = data.query_id[data.doc_query]
            return self.score_candidates(query_id, data.doc_id, None)[data.document]
        self._check_kinds(data)
        if not scores_lists(self.ranker):
            return self._score_raw(data.features, data.doc_query, data.by_query)[data.document]
        inputs = self.transform.apply(data.features, own=data.by_query)
        out = np.zeros(data.where.shape, np.float32)
        for begin in range(0, data.n_lists, _COMPARED):
            part = slice(begin, begin + _COMPARED)
            shown, where = inputs[data.document[part]], data.where[part]
            out[part] = list_scores(self.ranker, jnp.asarray(shown), jnp.asarray(where))
        return out

    def _check_kinds(self, data: Lists) -> None:
        """Values per query were made by the lake's transform: it must be of the run's kinds."""
        own, given = self.transform, data.transform
        if own and own.needs_query and (given is None or given.kinds != own.kinds):
            raise DataError(
                "a lake must transform features as the run does, where values depend on the query",
                got=f"other transforms in the lake than in {self.root}",
                hint="choose those of training with ultr features --transform, and run ultr lists",
            )

    @cached_property
    def _known_pairs(self) -> dict[str, Any]:
        table = read_run_table(self.root, "documents.parquet")
        pairs = _pairs(table["query_id"].to_numpy(), table["doc_id"].to_numpy())
        order = np.argsort(pairs, order=("query", "document"))
        ranker: Any = self.ranker
        return {"pairs": pairs[order], "scores": np.asarray(ranker.scores[...])[order]}

    def _score_inputs(self, inputs: Floats, query: NDArray[np.int32]) -> Floats:
        size = 1 << max(6, (len(inputs) - 1).bit_length())  # few shapes, few compilations
        padding = size - len(inputs)
        scores = _forward(
            *nnx.split(self.ranker),
            np.pad(inputs, ((0, padding), (0, 0))),
            np.pad(query, (0, padding), constant_values=-1),
            np.arange(size) < len(inputs),
        )
        return np.asarray(scores)[: len(inputs)]


def _pairs(query_id: Longs, doc_id: Longs) -> NDArray[np.void]:
    out = np.empty(len(query_id), [("query", np.int64), ("document", np.int64)])
    out["query"], out["document"] = query_id, doc_id
    return out


@partial(jax.jit, static_argnums=0)
def _forward(
    graph: Any, params: Any, inputs: jax.Array, query: jax.Array, where: jax.Array
) -> jax.Array:
    ranker: Any = nnx.merge(graph, params)
    return ranker(inputs, query, where)


def save_params(root: Path, ranker: Any, log_propensity: jax.Array) -> None:
    """Write the ranker's parameters and the propensities as an Orbax checkpoint.

    Args:
        root: the run's folder.
        ranker: its parameters.
        log_propensity: `[P, *levels]`, whatever model it was made by.
    """
    tree = {"ranker": nnx.to_pure_dict(ranker), "propensity": {"logits": log_propensity}}
    shutil.rmtree(root / "checkpoint", ignore_errors=True)
    save_arrays(root / "checkpoint", tree)
    seal_checkpoint(root)


def open_run(path: str | Path, *, ranker: object = None) -> Run:
    """Open a finished run.

    Args:
        path: its folder.
        ranker: the class or function that made the ranker, where it is the user's own.

    Raises:
        DataError: no run there, one that did not finish, a damaged file, or a ranker of the user's
            own that was not given.

    Example:
        >>> run = ultr.open_run("runs/dla")  # doctest: +SKIP
    """
    root = Path(path)
    files = read_run_files(root, ranker=ranker)
    check_checkpoint(root)
    config, spec = files.config, files.settings.ranker_spec()
    n_documents = config["n_documents"]
    if spec.reads == "row":  # one parameter per pair of the table
        n_documents = read_run_table(root, "documents.parquet").num_rows
    module = spec.build(n_features=config["n_features"], n_documents=n_documents, rngs=nnx.Rngs(0))
    shape = (config["n_positions"], *(len(column.levels) for column in files.bias))
    propensity = PositionBias(shape, tuple(column.is_per_document for column in files.bias))
    towers: dict[str, nnx.Module] = {"ranker": module, "propensity": propensity}
    template = {name: nnx.to_pure_dict(nnx.state(m)) for name, m in towers.items()}
    try:
        tree = jax.tree.map(jnp.asarray, load_arrays(root / "checkpoint"))
        wanted, found = ({k: v.shape for k, v in named(t).items()} for t in (template, tree))
        if found != wanted:
            raise ValueError(f"arrays {found}, and config.json says {wanted}")
    except Exception as error:  # Orbax raises many kinds for a damaged folder
        raise DataError(
            "the run's checkpoint must be whole",
            got=f"{root / 'checkpoint'}: {type(error).__name__}: {str(error)[:200]}",
            hint="train again, or restore the folder from a backup",
        ) from error
    for name, tower in towers.items():
        state = nnx.state(tower)
        nnx.replace_by_pure_dict(state, tree[name])
        nnx.update(tower, state)
    compares = getattr(spec, "compares", True)
    return Run(
        root, config, module, propensity, files.transform, files.summary, compares, files.bias
    )  # fmt: skip
