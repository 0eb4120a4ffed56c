"""Pairs at least total cost (Kuhn 1955, "The Hungarian method for the assignment problem")."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def least_cost_pairs(costs: ArrayLike) -> list[tuple[int, int]]:
    """Pair rows with columns so that the sum of their costs is least.

    By shortest augmenting paths (Jonker & Volgenant 1987, doi:10.1007/BF02278710), in
    O(rows² · columns): for the few faces of a frame.

    Args:
        costs: finite numbers, shape (rows, columns).

    Returns:
        Row and column of each pair, by rows; as many pairs as the shorter side has.

    Example:
        >>> least_cost_pairs([[4, 1, 3], [2, 0, 5]])
        [(0, 1), (1, 0)]
    """
    table = np.asarray(costs, dtype=np.float64)
    if table.shape[0] > table.shape[1]:
        return sorted((row, column) for column, row in least_cost_pairs(table.T))
    rows, columns = table.shape
    if rows == 1:  # most often: one face
        return [(0, int(np.argmin(table[0])))] if columns else []
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    taken_by = np.full(columns, -1)
    for start in range(rows):
        least, before = np.full(columns, np.inf), np.full(columns, -1)
        seen = np.zeros(columns, dtype=bool)
        row, column, so_far = start, -1, 0.0
        while True:
            reduced = so_far + table[row] - row_price[row] - column_price
            nearer = ~seen & (reduced < least)
            least[nearer], before[nearer] = reduced[nearer], column
            column = int(np.argmin(np.where(seen, np.inf, least)))
            so_far = float(least[column])
            seen[column] = True
            if taken_by[column] < 0:
                break
            row = int(taken_by[column])
        row_price[start] += so_far
        passed = seen & (taken_by >= 0)
        row_price[taken_by[passed]] += so_far - least[passed]
        column_price[seen] -= so_far - least[seen]
        while column >= 0:  # every row on the path moves on to the next column
            came = int(before[column])
            taken_by[column] = start if came < 0 else taken_by[came]
            column = came
    return sorted((int(row), column) for column, row in enumerate(taken_by) if row >= 0)
