"""The clusters are SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.clustering import cut, ward_merges

hierarchy = pytest.importorskip("scipy.cluster.hierarchy")


@settings(max_examples=60)
@given(st.integers(2, 60), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_as_scipys(n: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, width)) + 4 * rng.integers(0, 3, (n, 1))
    tree = hierarchy.linkage(points, "ward")
    merges = ward_merges(points)
    for count in range(1, min(n, 8) + 1):
        ours, theirs = cut(merges, count), hierarchy.fcluster(tree, count, "maxclust")
        pairs = set(zip(ours.tolist(), theirs.tolist(), strict=True))
        assert len(pairs) == len(set(ours.tolist())) == len(set(theirs.tolist())) == count
