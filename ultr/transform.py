"""The feature transform: fitted once on the training split, stored, applied the same everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ultr.errors import DataError
from ultr.moments import total_moments

Array = NDArray[np.float32]
Kind = Literal["standardise", "log1p", "log1p+standardise", "per-query", "none"]

KINDS: tuple[Kind, ...] = get_args(Kind)
STANDARDISE: Kind = "standardise"
PER_QUERY: Kind = "per-query"
_LOGGED: tuple[Kind, ...] = ("log1p", "log1p+standardise")
_UNSCALED: tuple[Kind, ...] = ("log1p", "none")


@dataclass(frozen=True)
class Transform:
    """How raw feature values become the ranker's input, feature by feature.

    - `standardise`: (x − mean) / scale, clipped;
    - `log1p`: sign(x) log(1 + |x|);
    - `log1p+standardise`: first the one, then the other;
    - `per-query`: as `standardise`, with mean and scale of the query's own candidates;
    - `none`: x.

    A missing value (NaN) becomes the mean of the training rows, or of the query.

    Args:
        names: feature names, in order.
        mean: `[F]` training means, of logarithms where there is one.
        scale: `[F]` training standard deviations, 1 where a feature is constant.
        clip: bound on a standardised value; one wild value must not drive the ranker.
        kinds: `[F]`; empty standardises all.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float = 10.0
    kinds: tuple[Kind, ...] = ()

    @property
    def needs_query(self) -> bool:
        """Whether a value depends on the other candidates of its query."""
        return PER_QUERY in self.kinds

    def apply(
        self,
        features: NDArray[np.floating[Any]],
        query: NDArray[np.integer[Any]] | None = None,
        *,
        own: Array | None = None,
    ) -> Array:
        """Transform raw features.

        Args:
            features: `[..., F]` raw values.
            query: `[...]` a number per query, the same for all its rows. A transform that
                `needs_query` must be given all candidates of a query at once, or
            own: what `by_query` made of all of them, for these rows.

        Raises:
            DataError: another number of features than the transform was fitted on, or neither
                `query` nor `own` where one is needed.
        """
        self._check(features)
        if self.needs_query and own is None:
            own = self.by_query(features, query)
        x = self._logged(np.asarray(features, np.float32))
        mean: Array = np.asarray(self.mean, np.float32)
        scale: Array = np.asarray(self.scale, np.float32)
        z: Array = x - mean
        z /= scale
        np.copyto(z, 0.0, where=np.isnan(z))
        np.clip(z, -self.clip, self.clip, out=z)
        is_plain = self._is(_UNSCALED)
        if is_plain.any():
            z[..., is_plain] = np.where(np.isnan(x), mean, x)[..., is_plain]
        if own is not None:
            z[..., self._is((PER_QUERY,))] = own
        return z

    def by_query(
        self, features: NDArray[np.floating[Any]], query: NDArray[np.integer[Any]] | None
    ) -> Array:
        """The features that depend on the other candidates of their query, in order.

        Args:
            features: `[..., F]` raw values of all candidates.
            query: `[...]` a number per query.

        Raises:
            DataError: another number of features, or no `query`.
        """
        self._check(features)
        if query is None:
            raise DataError(
                "features that are standardised per query need the query of each row",
                got="rows without it",
                hint="give `query`, and all candidates of a query together",
            )
        chosen = np.asarray(features, np.float32)[..., self._is((PER_QUERY,))]
        rows = chosen.reshape(-1, chosen.shape[-1])
        own = standardised_by_query(rows, np.asarray(query).reshape(-1))
        return np.clip(own, -self.clip, self.clip).reshape(chosen.shape)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        kinds = set(self.kinds) or {STANDARDISE}
        return {
            "kind": kinds.pop() if len(kinds) == 1 else "mixed",
            "names": list(self.names),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "clip": self.clip,
            "kinds": list(self.kinds),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Transform:
        """Read what `to_json` wrote."""
        return cls(
            tuple(data["names"]),
            tuple(data["mean"]),
            tuple(data["scale"]),
            data["clip"],
            tuple(data.get("kinds", ())),
        )

    def _check(self, features: NDArray[Any]) -> None:
        if not features.shape or features.shape[-1] != len(self.mean):
            raise DataError(
                f"the transform was fitted on {len(self.mean)} features",
                got=f"an array of shape {list(features.shape)}",
                hint="give the same columns in the same order as in training",
            )

    def _is(self, kinds: tuple[Kind, ...]) -> NDArray[np.bool_]:
        """`[F]` which features are of one of these kinds."""
        return np.isin(self.kinds or (STANDARDISE,) * len(self.names), kinds)

    def _logged(self, x: Array) -> Array:
        is_logged = self._is(_LOGGED)
        if not is_logged.any():
            return x
        out = x.copy()
        logged = x[..., is_logged]
        out[..., is_logged] = np.sign(logged) * np.log1p(np.abs(logged))
        return out


def as_matrix(features: ArrayLike) -> NDArray[np.floating[Any]]:
    """`[N, F]` numbers, from whatever a caller has.

    Raises:
        DataError: another shape, or values that are not numbers.
    """
    try:
        matrix = np.asarray(features)
        if not np.issubdtype(matrix.dtype, np.floating):
            matrix = matrix.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise _not_a_matrix(str(error)) from error
    if matrix.ndim != 2:
        raise _not_a_matrix(f"an array of shape {list(matrix.shape)}")
    return matrix


def as_groups(query: ArrayLike, *, size: int) -> NDArray[np.int32]:
    """`[N]` which query each of `size` documents belongs to.

    Raises:
        DataError: another shape, or not whole numbers.
    """
    groups = np.asarray(query)
    if groups.shape != (size,) or not np.issubdtype(groups.dtype, np.integer):
        raise DataError(
            "query is [N], a whole number for each row of the features",
            got=f"{groups.dtype} of shape {list(groups.shape)} for {size} rows",
            hint="number the queries: np.unique(keys, return_inverse=True)[1]",
        )
    return groups.astype(np.int32)


def _not_a_matrix(got: str) -> DataError:
    return DataError(
        "features are [N, F]: a row of numbers for each document",
        got=got,
        hint="give a 2-dimensional array; one document is features[None, :]",
    )


def standardised_by_query(x: NDArray[np.floating[Any]], query: NDArray[Any]) -> Array:
    """Standardise rows `[N, F]` with mean and deviation of their query's rows; NaN becomes 0.

    A feature that is constant within a query is 0 there, as its order says nothing.
    """
    if not len(x):
        return np.zeros(x.shape, np.float32)
    order = np.argsort(query, kind="stable")
    label = query[order]
    start = np.flatnonzero(np.concatenate([[True], label[1:] != label[:-1]]))
    size = np.diff(np.append(start, len(label)))
    values = x[order].astype(np.float64)
    seen = np.isfinite(values)
    count = np.maximum(np.add.reduceat(seen, start, axis=0, dtype=np.int64), 1)
    mean = np.add.reduceat(np.where(seen, values, 0), start, axis=0) / count
    centred = np.where(seen, values - np.repeat(mean, size, axis=0), 0)
    deviation = np.sqrt(np.add.reduceat(centred**2, start, axis=0) / count)
    low = np.minimum.reduceat(np.where(seen, values, np.inf), start, axis=0)
    high = np.maximum.reduceat(np.where(seen, values, -np.inf), start, axis=0)
    # By the values themselves: the deviation of equal floats need not come out as 0.
    scale = np.where(high > low, deviation, np.inf)
    out = np.empty(x.shape, np.float32)
    out[order] = centred / np.repeat(scale, size, axis=0)
    return out


def fit_transform(
    chunks: Iterable[NDArray[Any]], names: tuple[str, ...], kinds: Sequence[Kind] = ()
) -> Transform:
    """Fit on chunks of raw features `[N, F]`, missing values left out.

    Args:
        chunks: rows of the training split.
        names: feature names.
        kinds: the transform of each feature; none standardises all.
    """
    plain = Transform(names, (0.0,) * len(names), (1.0,) * len(names), kinds=tuple(kinds))
    logged = (plain._logged(np.asarray(c, np.float32)) for c in chunks)
    moments = total_moments(logged, size=len(names))
    return dataclasses.replace(plain, mean=moments.mean, scale=moments.scale)
