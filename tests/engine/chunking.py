"""Cutting media anew: the same content in other packets and another interleaving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emofuse.core.media import AudioChunk, Frame, Packet, Track, Utterance, Watermark

TRACK = {Frame: Track.VIDEO, AudioChunk: Track.AUDIO, Utterance: Track.TEXT}


def recut(packets: Sequence[Packet], rng: np.random.Generator, longest: int = 40_000) -> list:
    """Cut and interleave packets at random; progress is told after some items and at the end."""
    end_ns = max(p.upto_ns for p in packets if isinstance(p, Watermark))
    tracks = {p.track for p in packets if isinstance(p, Watermark)}
    queues = {}
    for track in sorted(tracks):
        items: list[Packet] = [p for p in packets if TRACK.get(type(p)) is track]
        if track is Track.AUDIO:
            items = _cut(items, rng, longest)
        queues[track] = [*_with_progress(track, items, rng), Watermark(track, end_ns)]
    return _interleave(list(queues.values()), rng)


def _cut(chunks: list, rng: np.random.Generator, longest: int) -> list:
    """LabelAlignment what is contiguous and cut it at random, from single samples to seconds."""
    out = []
    for run in _runs(chunks):
        samples = np.concatenate([c.samples for c in run])
        at = 0
        while at < len(samples):
            size = int(np.exp(rng.uniform(0, np.log(longest))))
            out.append(AudioChunk(samples[at : at + size], run[0].rate, run[0].first + at))
            at += size
    return out


def _runs(chunks: list) -> list[list]:
    runs: list[list] = []
    for chunk in chunks:
        if runs and runs[-1][-1].end == chunk.first:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return runs


def _with_progress(track: Track, items: list, rng: np.random.Generator) -> list:
    out: list[Packet] = []
    chance = rng.choice([0.05, 0.5, 1.0])
    for i, item in enumerate(items):
        out.append(item)
        if rng.random() < chance:
            following = items[i + 1] if i + 1 < len(items) else item
            out.append(Watermark(track, _start(following)))
    return out


def _start(item: Packet) -> int:
    return item.at.start_ns if isinstance(item, Frame) else item.span.start_ns  # type: ignore[union-attr]


def _interleave(queues: list[list], rng: np.random.Generator) -> list:
    """Merge the queues, staying with one for a random while."""
    out, at = [], [0] * len(queues)
    while any(a < len(q) for a, q in zip(at, queues, strict=True)):
        k = int(rng.integers(len(queues)))
        for _ in range(int(rng.integers(1, 60))):
            if at[k] < len(queues[k]):
                out.append(queues[k][at[k]])
                at[k] += 1
    return out
