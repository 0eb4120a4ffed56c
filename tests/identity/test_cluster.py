"""Clustering: what may not be one never is, and the order of what comes decides nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from emofuse.identity.cluster import agglomerate, distances

ROWS = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed))


def test_distances_are_euclidean() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    expected = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.testing.assert_allclose(distances(rows), expected, atol=1e-3)


@given(rng=ROWS, n=st.integers(2, 25))
def test_without_constraints_it_is_average_linkage(rng: np.random.Generator, n: int) -> None:
    apart = distances(rng.normal(size=(n, 3)).astype(np.float32))
    closest = 1.0001 * float(np.median(apart))  # no distance itself: its rounding would decide
    clusters, _ = agglomerate(apart, [1.0] * n, closest)
    labels = fcluster(linkage(squareform(apart, checks=False), "average"), closest, "distance")
    together = {frozenset(np.flatnonzero(labels == k)) for k in set(labels)}
    assert {frozenset(members) for members in clusters} == together


@given(rng=ROWS, n=st.integers(2, 15))
def test_what_cannot_be_one_never_is(rng: np.random.Generator, n: int) -> None:
    apart = distances(rng.normal(size=(n, 2)).astype(np.float32))
    pairs = [p for p in itertools.combinations(range(n), 2) if rng.random() < 0.3]
    clusters, between = agglomerate(apart, [1.0] * n, 10.0, pairs)
    home = {k: c for c, members in enumerate(clusters) for k in members}
    assert sorted(home) == list(range(n))
    assert all(home[a] != home[b] for a, b in pairs)
    assert not np.isfinite(np.diag(between)).any()


def test_nothing_is_no_cluster() -> None:
    assert agglomerate(np.zeros((0, 0), np.float32), [], 1.0)[0] == []


def test_heavy_members_count_more() -> None:
    apart = distances(np.array([[0.0], [1.0], [2.4]], np.float32))
    light, _ = agglomerate(apart, [1, 1, 1], 1.8)
    heavy, _ = agglomerate(apart, [1, 9, 1], 1.8)
    assert (light, heavy) == ([[0, 1], [2]], [[0, 1, 2]])


@pytest.mark.parametrize("n", [400])
def test_many_are_clustered_soon_enough(n: int) -> None:
    centers = np.repeat(np.eye(20, dtype=np.float32) * 3, n // 20, axis=0)
    rows = centers + np.random.default_rng(0).normal(0, 0.05, centers.shape).astype(np.float32)
    clusters, _ = agglomerate(distances(rows), [1.0] * n, 1.0)
    assert [len(members) for members in clusters] == [n // 20] * 20
