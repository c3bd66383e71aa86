"""The feature transform: fitted once on the training split, stored, applied the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ultr.errors import DataError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Transform:
    """Standardise features: `(x − mean) / scale`, clipped.

    Args:
        names: feature names, in order.
        mean: `[F]` training means.
        scale: `[F]` training standard deviations, 1 where a feature is constant.
        clip: bound on the standardised value; one wild value must not drive the ranker.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float = 10.0

    def apply(self, features: NDArray[np.floating[Any]]) -> Array:
        """Transform raw features `[..., F]`; a missing value (NaN) becomes the mean.

        Raises:
            DataError: another number of features than the transform was fitted on.
        """
        if not features.shape or features.shape[-1] != len(self.mean):
            raise DataError(
                f"the transform was fitted on {len(self.mean)} features",
                got=f"an array of shape {list(features.shape)}",
                hint="give the same columns in the same order as in training",
            )
        x = np.asarray(features, np.float32)
        mean: Array = np.asarray(self.mean, np.float32)
        scale: Array = np.asarray(self.scale, np.float32)
        z: Array = (x - mean) / scale
        return np.clip(np.nan_to_num(z, nan=0.0), -self.clip, self.clip)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {
            "kind": "standardise",
            "names": list(self.names),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "clip": self.clip,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Transform:
        """Read what `to_json` wrote."""
        return cls(tuple(data["names"]), tuple(data["mean"]), tuple(data["scale"]), data["clip"])


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


def fit_transform(chunks: Iterable[NDArray[Any]], names: tuple[str, ...]) -> Transform:
    """Fit mean and standard deviation over chunks of raw features `[N, F]`, NaN left out.

    Chunks are merged with the pairwise update of Chan et al. (1983), since a plain sum of squares
    cancels for features with a large mean (timestamps, prices).
    """
    size = len(names)
    count, mean, m2 = np.zeros(size), np.zeros(size), np.zeros(size)
    for chunk in chunks:
        x = np.asarray(chunk, np.float64)
        seen = np.isfinite(x)
        n = seen.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            new_mean = np.where(n > 0, np.where(seen, x, 0).sum(axis=0) / np.maximum(n, 1), 0.0)
        new_m2 = (np.where(seen, x - new_mean, 0) ** 2).sum(axis=0)
        total = np.maximum(count + n, 1)
        delta = new_mean - mean
        m2 += new_m2 + delta**2 * count * n / total
        mean = np.where(n > 0, mean + delta * n / total, mean)
        count = count + n
    deviation = np.sqrt(m2 / np.maximum(count, 1))
    # Relative to the mean: float noise of a constant must not be blown up to unit variance.
    scale = np.where(deviation > 1e-7 * np.maximum(1.0, np.abs(mean)), deviation, 1.0)
    return Transform(names, tuple(mean.tolist()), tuple(scale.tolist()))
