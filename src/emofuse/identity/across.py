"""The same people in several media."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Subject
from ..core.identity import People, Person
from .cluster import agglomerate, distances
from .config import IdentityConfig


@dataclass(frozen=True, slots=True)
class Appearance:
    """Somebody in a file.

    Args:
        person: number of the person in all files, from 1.
        file: where they appear.
        subject: what the file's results call them.
    """

    person: int
    file: str
    subject: Subject


def same_people(files: Iterable[tuple[str, People]], config: IdentityConfig) -> list[Appearance]:
    """Find the same people in several files, by their faces, and by voice those without one.

    Two people of one file are two. People are numbered in the order of the files.

    Args:
        files: name of each file and its people, with embeddings (`IdentityConfig.across_files`).
        config: thresholds.
    """
    everybody = [(file, person) for file, people in files for person in people.known]
    seen = [k for k, (_, person) in enumerate(everybody) if "face" in person.embeddings]
    groups = _joined(everybody, seen, "face", config.same_face)
    heard = [[k] for k in range(len(everybody)) if k not in set(seen)]
    groups = _with_voices(everybody, groups + heard, config)
    groups.sort(key=min)
    return [
        Appearance(number, everybody[k][0], everybody[k][1].subject)
        for number, members in enumerate(groups, 1)
        for k in sorted(members)
    ]


def without_embeddings(people: People | None) -> People | None:
    """Return people without what they look and sound like."""
    if people is None:
        return None
    return replace(people, known=tuple(replace(p, embeddings={}) for p in people.known))


def _joined(
    everybody: Sequence[tuple[str, Person]], some: Sequence[int], kind: str, closest: float
) -> list[list[int]]:
    if not some:
        return []
    rows = np.stack([everybody[k][1].embeddings[kind] for k in some])
    files = [everybody[k][0] for k in some]
    clusters, _ = agglomerate(distances(rows), [1.0] * len(some), closest, _together(files))
    return [[some[k] for k in members] for members in clusters]


def _with_voices(
    everybody: Sequence[tuple[str, Person]], groups: list[list[int]], config: IdentityConfig
) -> list[list[int]]:
    """Join those who have no face to whose voice they have; two faces are never joined by it."""
    means = [_voice([everybody[k][1] for k in members]) for members in groups]
    some = [n for n, mean in enumerate(means) if mean is not None]
    if not some:
        return groups
    rows = np.array([means[n] for n in some], np.float32)
    cannot = [
        (i, j)
        for i in range(len(some))
        for j in range(i + 1, len(some))
        if _apart(everybody, groups[some[i]], groups[some[j]])
    ]
    unlike = (1 - rows @ rows.T).astype(np.float32)
    clusters, _ = agglomerate(unlike, [1.0] * len(some), 1 - config.same_voice, cannot)
    joined = [[k for i in members for k in groups[some[i]]] for members in clusters]
    return joined + [group for n, group in enumerate(groups) if n not in set(some)]


def _voice(people: Sequence[Person]) -> NDArray[np.float32] | None:
    rows = [p.embeddings["voice"] for p in people if "voice" in p.embeddings]
    if not rows:
        return None
    mean = np.mean(rows, axis=0)
    out: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
    return out


def _apart(
    everybody: Sequence[tuple[str, Person]], first: Sequence[int], second: Sequence[int]
) -> bool:
    """Whether two groups are surely two people: both have faces, or they share a file."""
    faces = all(any("face" in everybody[k][1].embeddings for k in g) for g in (first, second))
    return faces or bool({everybody[k][0] for k in first} & {everybody[k][0] for k in second})


def _together(files: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of people who are in one file."""
    homes: dict[str, list[int]] = {}
    for k, file in enumerate(files):
        homes.setdefault(file, []).append(k)
    return [(a, b) for some in homes.values() for i, a in enumerate(some) for b in some[i + 1 :]]
