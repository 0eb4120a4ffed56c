"""Which of several tracks of a kind a user asks for, and what each is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError

if TYPE_CHECKING:
    import av

Stream = TypeVar("Stream", bound="av.stream.Stream")


def wanted_track(path: Path, tracks: Sequence[Stream], wanted: int | str, kind: str) -> Stream:
    """Find a track by its number, counted from 1, or by the language that the file names.

    Args:
        path: the file, for messages.
        tracks: those of the kind, in the file's order.
        wanted: such as 2 or ``eng``; of a language the first one is taken.
        kind: what they are, for messages: ``audio`` or ``subtitle``.

    Raises:
        InputError: if there is no such track; the message names those that there are.
    """
    if isinstance(wanted, int) or wanted.isdecimal():
        number = int(wanted)
        if 1 <= number <= len(tracks):
            return tracks[number - 1]
    for track in tracks:
        if (track.metadata.get("language") or "").lower() == str(wanted).lower():
            return track
    there = ", ".join(track_name(n, track) for n, track in enumerate(tracks, start=1)) or "none"
    raise InputError(
        f"there is no {kind} track {wanted}: {path.name} has {len(tracks)}, counted from 1 "
        f"or named by their language: {there}"
    )


def track_name(number: int, track: av.stream.Stream) -> str:
    """Name a track by its number and what the file says of it.

    Args:
        number: counted from 1.
        track: of any kind.
    """
    language = track.metadata.get("language") or track.metadata.get("title") or ""
    shown = language.encode("utf-8", "replace").decode()  # it may hold what is no UTF-8
    return f"track {number} ({shown})" if shown else f"track {number}"
