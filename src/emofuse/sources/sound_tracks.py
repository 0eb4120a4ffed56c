"""Which of several sound tracks is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.media import Diagnostic
from .tracks import AudioReader, Clock, demuxed
from .wanted import track_name, wanted_track

if TYPE_CHECKING:
    import av

Voiced = Callable[[NDArray[np.float32], int], bool]
"""Whether somebody speaks in a waveform (float32, (n,)) of a rate in Hz."""

_PLACES = 5
"""Places of a track at which is listened, spread over its length."""

_SECONDS = 12.0
"""What is heard of a track at each of them."""

_SILENT = 1e-4
"""A track of a lower peak (-80 dBFS) holds no sound."""

_MOST = 8
"""Tracks that are listened to."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was heard of a track at some places."""

    voiced: bool
    silent: bool


def choose_audio(
    container: av.container.InputContainer,
    main: av.AudioStream,
    tracks: Sequence[av.AudioStream],
    voiced: Voiced | None,
    wanted: int | str | None = None,
) -> tuple[av.AudioStream, list[Diagnostic]]:
    """Choose a track: the wanted one, else the first with a voice, else the first with sound.

    Args:
        container: an own one; parts of it are read.
        main: the track that a player would take; it comes first.
        tracks: all that can be decoded, in the file's order.
        voiced: tells whether there is a voice; None: `main` is taken.
        wanted: number of the track, counted from 1, or its language.

    Returns:
        The track, and a note on those that were left if there are several.

    Raises:
        InputError: if there is no track of the wanted number or language.
    """
    if wanted is not None:
        return wanted_track(Path(container.name), tracks, wanted, "audio"), []
    if len(tracks) == 1 or voiced is None:
        return main, []
    chosen = _best(container, [main, *(t for t in tracks if t is not main)][:_MOST], voiced)
    names = {t.index: track_name(n, t) for n, t in enumerate(tracks, start=1)}
    others = ", ".join(name for index, name in names.items() if index != chosen.index)
    why = "" if chosen is main else f", since no voice was heard in {names[main.index]}"
    told = f"of several sound tracks {names[chosen.index]} is heard{why}; left out: {others}"
    return chosen, [Diagnostic("audio-tracks", f"{told} (--audio-track chooses)")]


def _best(
    container: av.container.InputContainer, tracks: Sequence[av.AudioStream], voiced: Voiced
) -> av.AudioStream:
    audible: list[av.AudioStream] = []
    for track in tracks:
        heard = _listen(container, track, voiced)
        if heard.voiced:
            return track
        if not heard.silent:
            audible.append(track)
    return (audible or list(tracks))[0]


def _listen(
    container: av.container.InputContainer, track: av.AudioStream, voiced: Voiced
) -> _Heard:
    silent = True
    for samples, rate in _parts(container, track):
        silent = silent and float(np.abs(samples).max(initial=0.0)) < _SILENT
        if voiced(samples, rate):
            return _Heard(voiced=True, silent=False)
    return _Heard(voiced=False, silent=silent)


def _parts(
    container: av.container.InputContainer, track: av.AudioStream
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Yield what is heard at places spread over a track, as far as it can be decoded."""
    length = container.duration or 0  # microseconds
    places = _PLACES if length > 2 * _PLACES * _SECONDS * 1e6 else 1
    for place in range(places):
        # From the second place on within the file, the last one well before its end.
        if (samples := _part(container, track, length * place // places)) is not None:
            yield samples, int(track.rate)


def _part(
    container: av.container.InputContainer, track: av.AudioStream, at_us: int
) -> NDArray[np.float32] | None:
    import av

    reader, pieces, enough = AudioReader(track, Clock()), [], _SECONDS * track.rate
    try:
        container.seek(at_us + max(0, container.start_time or 0))
        track.codec_context.flush_buffers()
        for packet in demuxed(container, track):
            for chunk in reader.feed(packet):
                pieces.append(chunk.samples)
                enough -= len(chunk.samples)
            if enough <= 0:
                break
    except av.FFmpegError:
        pass  # the main pass reports what is wrong
    return np.concatenate(pieces) if pieces else None
