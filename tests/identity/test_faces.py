"""Face tracks that are one person's."""

from __future__ import annotations

import numpy as np
import pytest
from tests.identity.made import face, face_embedding

from emofuse.core.estimates import Subject
from emofuse.identity import faces
from emofuse.identity.config import IdentityConfig
from emofuse.identity.faces import FaceTracks


def tracks(*embeddings: object) -> FaceTracks:
    found = FaceTracks(IdentityConfig())
    for item in embeddings:
        found.add(item)  # type: ignore[arg-type]
    return found


def grouped(found: FaceTracks) -> list[tuple[Subject, ...]]:
    return [group.tracks for group in found.groups()]


def test_who_leaves_and_returns_is_the_same() -> None:
    found = tracks(
        face_embedding(1, 0, 0), face_embedding(2, 1, 2), face_embedding(3, 0, 4, off=0.2)
    )
    assert grouped(found) == [(face(1), face(3)), (face(2),)]


def test_two_faces_in_one_frame_are_two_people_however_alike() -> None:
    twins = tracks(face_embedding(1, 0, 0), face_embedding(2, 0, 0, beside=(1,)))
    assert grouped(twins) == [(face(1),), (face(2),)]


def test_a_third_track_cannot_make_twins_one() -> None:
    found = tracks(
        face_embedding(1, 0, 0, beside=(2,)),
        face_embedding(2, 0, 0, off=0.1, beside=(1,)),
        face_embedding(3, 0, 5),
    )
    assert grouped(found) == [(face(1), face(3)), (face(2),)]


def test_of_little_evidence_near_a_border_nobody_can_say() -> None:
    config = IdentityConfig()
    near = (config.same_face + config.unsure_face) / 2
    seen = [face_embedding(1, 0, at) for at in range(4)]
    seen += [face_embedding(2, 0, 5 + at, off=near) for at in range(2)]
    first, second = tracks(*seen).groups()
    assert (first.maybe, second.maybe) == ((), (0,))
    seen += [face_embedding(2, 0, 7 + at, off=near) for at in range(2)]
    assert [group.maybe for group in tracks(*seen).groups()] == [(), ()], "it is somebody else"


def test_good_views_count_more_than_poor_ones() -> None:
    found = tracks(face_embedding(1, 0, quality=1.0), face_embedding(1, 1, 1, quality=0.01))
    np.testing.assert_allclose(found.groups()[0].embedding[:2], [0.99, 0.01], atol=0.01)


def test_confidence_is_higher_the_further_others_are_away() -> None:
    (lone,) = tracks(face_embedding(1, 0)).groups()
    pair = tracks(face_embedding(1, 0), face_embedding(2, 0, 1, off=0.55)).groups()
    assert lone.confidence > 0.99
    assert 0.5 < pair[0].confidence < 0.9


def test_the_order_of_prints_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    seen = [face_embedding(n, n % 3, n, off=float(rng.uniform(0, 0.2))) for n in range(1, 20)]
    expected = grouped(tracks(*seen))
    for _ in range(5):
        shuffled = [seen[k] for k in rng.permutation(len(seen))]
        assert grouped(tracks(*shuffled)) == expected


def test_memory_is_bounded_and_people_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "MOST", 40)
    found = tracks(*(face_embedding(n, n % 4, n) for n in range(1, 500)))
    assert len(found._nodes) <= 41
    assert [len(g.tracks) for g in found.groups()] == [125, 125, 125, 124]


def test_a_crowd_of_strangers_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "MOST", 40)
    rng = np.random.default_rng(0)
    found = FaceTracks(IdentityConfig())
    for n in range(1, 200):
        item = face_embedding(n, 0, n)
        item.embedding[:] = rng.normal(size=8)
        found.add(item)
    assert len(found._nodes) <= 41
    assert sum(len(g.tracks) for g in found.groups()) == 199
