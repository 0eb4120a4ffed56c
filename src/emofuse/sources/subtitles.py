"""Which of several subtitle tracks is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.media import Diagnostic
from .tracks import demuxed, plain_text, text_rects
from .wanted import track_name, wanted_track

if TYPE_CHECKING:
    import av
    from av.subtitles.stream import SubtitleStream

_ENOUGH = 400
"""Characters of a track that tell its language."""

_MOST = 2000
"""Subtitle packets that are looked at."""

Readable = Callable[[str], bool]
"""Whether the text model reads a text."""


def choose_subtitles(
    container: av.container.InputContainer,
    tracks: Sequence[SubtitleStream],
    readable: Readable | None,
    wanted: int | str | None = None,
) -> tuple[SubtitleStream, list[Diagnostic]]:
    """Choose a track: the wanted one, else the first that the text model reads, else the first.

    Args:
        container: an own one; it is read through.
        tracks: of text, at least one.
        readable: None: the first is taken.
        wanted: number of the track, counted from 1, or its language.

    Returns:
        The track, and a note on those that were left if there are several.

    Raises:
        InputError: if there is no track of the wanted number or language.
    """
    if wanted is not None:
        return wanted_track(Path(container.name), tracks, wanted, "subtitle"), []
    if len(tracks) == 1 or readable is None:
        return tracks[0], []
    texts = _beginnings(container, tracks)
    chosen = next((t for t in tracks if texts[t.index] and readable(texts[t.index])), tracks[0])
    others = ", ".join(track_name(n, t) for n, t in enumerate(tracks, start=1) if t is not chosen)
    told = (
        f"subtitles of {track_name(tracks.index(chosen) + 1, chosen)} are read; left out: {others}"
    )
    return chosen, [Diagnostic("subtitle-tracks", f"{told} (--subtitle-track chooses)")]


def _beginnings(
    container: av.container.InputContainer, tracks: Sequence[SubtitleStream]
) -> dict[int, str]:
    """Return how each track begins, by index."""
    import av

    texts = {track.index: "" for track in tracks}
    try:
        for n, packet in enumerate(demuxed(container, list(tracks))):
            if n == _MOST or all(len(text) >= _ENOUGH for text in texts.values()):
                break
            for rect in text_rects(packet):
                said = plain_text(rect.ass.decode("utf-8", "replace"))
                texts[packet.stream.index] += f" {said}"
    except av.FFmpegError:
        pass  # the main pass reports what is wrong
    return texts
