"""Ward's clusters, by chains of nearest neighbors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ward_merges(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """Merge points to one cluster, each time with the least growth of the squared distances.

    Ward 1963, doi:10.1080/01621459.1963.10500845; chains of nearest neighbors as in Murtagh
    1983, doi:10.1093/comjnl/26.4.354: O(n²) time and memory.

    Args:
        points: shape (n, width).

    Returns:
        int64, shape (n - 1, 2): a point of each of both clusters, the nearest clusters first.
    """
    x = np.asarray(points, dtype=np.float64)
    n = len(x)
    squares = (x**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0.0)
    np.fill_diagonal(apart, np.inf)
    sizes, merges, heights = np.ones(n), np.empty((max(n - 1, 0), 2), np.int64), np.empty(n)
    chain: list[int] = []
    for step in range(n - 1):
        if not chain:
            chain.append(int(np.flatnonzero(sizes)[0]))
        while True:
            here = chain[-1]
            nearest = int(np.argmin(apart[here]))
            if len(chain) > 1 and apart[here, chain[-2]] <= apart[here, nearest]:
                break
            chain.append(nearest)
        j, i = chain.pop(), chain.pop()
        merges[step], heights[step] = (i, j), apart[i, j]
        row = (sizes[i] + sizes) * apart[i] + (sizes[j] + sizes) * apart[j] - sizes * apart[i, j]
        row /= sizes[i] + sizes[j] + sizes
        row[(sizes == 0) | (np.arange(n) == i)] = np.inf
        sizes[i], sizes[j] = sizes[i] + sizes[j], 0.0
        row[j] = np.inf
        apart[i], apart[:, i] = row, row
        apart[j], apart[:, j] = np.inf, np.inf
    return merges[np.argsort(heights[: n - 1], kind="stable")]


def cut(merges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return each point's cluster, from 0, where the merges leave `count` of them."""
    n = len(merges) + 1
    labels = np.arange(n)
    for i, j in merges[: n - count]:
        labels[labels == labels[j]] = labels[i]
    found: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return found
