"""The pairs cost as little as SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.assignment import least_cost_pairs

optimize = pytest.importorskip("scipy.optimize")


@settings(max_examples=300)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([3, 1000]))
def test_as_cheap_as_scipys(rows: int, columns: int, seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.integers(-levels, levels, (rows, columns)) / 8
    costs[rng.random(costs.shape) < 0.3] = 1e6  # as for faces that are too far apart
    pairs = least_cost_pairs(costs)
    ours, theirs = zip(*pairs, strict=True), optimize.linear_sum_assignment(costs)
    mine = costs[tuple(map(list, ours))].sum()
    assert mine == pytest.approx(costs[theirs].sum())
    assert len(pairs) == min(rows, columns)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert pairs == sorted(pairs)
