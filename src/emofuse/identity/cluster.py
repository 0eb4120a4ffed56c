"""Agglomerative clustering under constraints."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray


def distances(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Euclidean distances between rows, float32 (n, n)."""
    squares = np.square(rows).sum(axis=1)
    gaps = squares[:, None] + squares[None] - 2 * rows @ rows.T
    out: NDArray[np.float32] = np.sqrt(np.maximum(gaps, 0)).astype(np.float32)
    np.fill_diagonal(out, 0)
    return out


def agglomerate(
    apart: NDArray[np.float32],
    weights: Sequence[float],
    closest: float,
    cannot: Collection[tuple[int, int]] = (),
) -> tuple[list[list[int]], NDArray[np.float32]]:
    """Join what is nearest until nothing nearer than `closest` may be joined.

    The distance of two clusters is the mean over their members (average linkage), weighted;
    it is infinite if two of their members cannot be one. Of equal distances the first counts,
    so that the result depends on nothing but the order of the members.

    Args:
        apart: distances, (n, n); it is left as it is.
        weights: of the members, > 0.
        closest: clusters further apart than this stay apart.
        cannot: pairs of members that are not one.

    Returns:
        The members of each cluster, in order, the clusters in the order of their first
        members; and the distances between the clusters.

    Example:
        >>> rows = np.array([[0.0], [5.0], [0.1]], np.float32)
        >>> agglomerate(distances(rows), [1, 1, 1], 1.0)[0]
        [[0, 2], [1]]
        >>> agglomerate(distances(rows), [1, 1, 1], 1.0, [(0, 2)])[0]
        [[0], [1], [2]]
    """
    n = len(apart)
    far = apart.astype(np.float32, copy=True)
    for a, b in cannot:
        far[a, b] = far[b, a] = np.inf
    np.fill_diagonal(far, np.inf)
    members = {k: [k] for k in range(n)}
    mass = np.array(weights, np.float64)
    nearest = far.min(axis=1) if n else np.empty(0)
    while len(members) > 1:
        a = int(nearest.argmin())
        if not nearest[a] <= closest:
            break
        b = int(far[a].argmin())
        a, b = min(a, b), max(a, b)
        joined = (mass[a] * far[a] + mass[b] * far[b]) / (mass[a] + mass[b])
        joined[[a, b]] = np.inf
        stale = np.isclose(nearest, np.minimum(far[a], far[b]))
        far[a], far[:, a] = joined, joined
        far[b] = far[:, b] = np.inf
        mass[a] += mass[b]
        members[a] += members.pop(b)
        nearest[b] = np.inf
        stale[a] = True
        for row in np.flatnonzero(stale):
            nearest[row] = far[row].min()
    order = sorted(members)
    return [sorted(members[k]) for k in order], far[np.ix_(order, order)]
