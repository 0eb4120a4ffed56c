"""From the paths on a command line to files to analyze, with their transcripts and names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import EmofuseError, InputError
from ..io.media_types import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES

PLAYABLE = VIDEO_SUFFIXES | AUDIO_SUFFIXES
"""Suffixes by which video and audio are found in folders."""

SIDECARS = (".srt", ".vtt")
"""Suffixes of transcripts that are used unasked when they lie beside a clip of the same name."""

Failure = tuple[Path, EmofuseError]
"""A path, and why it could not be analyzed."""


class TranscriptChoice(str, Enum):
    """Where transcripts come from when none is named."""

    AUTO = "auto"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Job:
    """One file to analyze.

    Args:
        path: the file.
        name: of its folder of results; unique among the jobs of a plan.
        transcript: the file with what is said in it, if there is one.
    """

    path: Path
    name: str
    transcript: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command line requests.

    Args:
        jobs: files to analyze, in order.
        failures: named paths that cannot be used.
        skipped: how many files in named folders are not media.
        batch: whether there may be several results: for several paths, or a folder.
    """

    jobs: tuple[Job, ...]
    failures: tuple[Failure, ...]
    skipped: int
    batch: bool


def make_plan(
    paths: Sequence[Path], transcript: Path | TranscriptChoice = TranscriptChoice.AUTO
) -> Plan:
    """Find the media that paths name, and what belongs to them.

    Folders are walked in alphabetical order: video, audio and images are taken; hidden
    files and all others are skipped and counted. Text files are analyzed only when named
    explicitly, because most text in a folder of media is about the media.

    Args:
        paths: files and folders.
        transcript: a transcript's path (then there must be one file); `AUTO`
            takes ``clip.srt`` or ``clip.vtt`` beside ``clip.mp4``, as players do.

    Raises:
        InputError: if one transcript is given for several files, or does not exist.
    """
    media: dict[Path, Path] = {}  # by real path: nothing is analyzed twice
    failures: list[Failure] = []
    skipped = 0
    for path in paths:
        try:
            found, passed = _media_in(path)
        except InputError as e:
            failures.append((path, e))
            continue
        skipped += passed
        media.update({p.resolve(): p for p in found if p.resolve() not in media})
    batch = len(paths) > 1 or any(path.is_dir() for path in paths)
    if isinstance(transcript, Path):
        _check_transcript(transcript, len(media))
    names = _unique_names(media.values())
    jobs = tuple(
        Job(path, name, _transcript_of(path, transcript))
        for path, name in zip(media.values(), names, strict=True)
    )
    return Plan(jobs, tuple(failures), skipped, batch)


def _media_in(path: Path) -> tuple[list[Path], int]:
    """Return the media that a path names and how many other files a folder holds.

    Raises:
        InputError: if there is nothing, or nothing to analyze.
    """
    if "://" in str(path) or str(path).startswith(("http:", "https:")):
        raise InputError(f"{path} is a URL, expected a file: download it first")
    try:
        if path.is_dir():
            return _walk(path)
        if path.is_file():
            return [path], 0
        exists = path.exists()
    except (OSError, ValueError) as e:  # too long, forbidden, a NUL byte
        reason = getattr(e, "strerror", None) or e
        raise InputError(f"cannot open {str(path)[:200]!r}: {reason}") from e
    if not exists:
        raise InputError(f"there is no file or folder {str(path)[:200]!r}; check the spelling")
    raise InputError(f"{path} is not a regular file; save its content to one first")


def _walk(folder: Path) -> tuple[list[Path], int]:
    unreadable: list[OSError] = []
    found: list[Path] = []
    skipped = 0
    for where, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            path = Path(where, name)
            wanted = path.suffix.lower() in PLAYABLE | IMAGE_SUFFIXES and not name.startswith(".")
            if wanted and path.is_file():
                found.append(path)
            else:
                skipped += 1
    if unreadable and not found:
        raise InputError(f"cannot look into the folder {folder}: {unreadable[0].strerror}")
    if not found:
        raise InputError(
            f"no video, audio or images in the folder {folder} ({skipped} other files); "
            "text files are analyzed only when named explicitly"
        )
    return found, skipped


def _check_transcript(transcript: Path, media: int) -> None:
    if not transcript.is_file():
        raise InputError(f"there is no transcript {str(transcript)!r}; expected an srt, vtt or txt")
    if media > 1:
        raise InputError(
            f"--transcript {transcript} goes with one file, got {media}; put each transcript "
            "beside its clip under the same name (clip.mp4, clip.srt), where it is found"
        )


def _transcript_of(path: Path, choice: Path | TranscriptChoice) -> Path | None:
    if isinstance(choice, Path):
        return choice
    if choice is TranscriptChoice.NONE or path.suffix.lower() not in PLAYABLE:
        return None
    beside = (path.with_suffix(end) for ending in SIDECARS for end in (ending, ending.upper()))
    return next((p for p in beside if p.is_file()), None)


def _unique_names(paths: Iterable[Path]) -> Iterator[str]:
    """Name folders after files: ``clip``, else ``clip.wav``, else ``clip.wav-2`` and so on.

    Names that differ in case only count as taken, for case-insensitive file systems.
    """
    taken = {"timeline.csv", "index.html"}  # what lies beside the folders
    for path in paths:
        numbered = (f"{path.name}-{n}" for n in range(2, len(taken) + 3))
        name = next(n for n in (path.stem, path.name, *numbered) if n.lower() not in taken)
        taken.add(name.lower())
        yield name
