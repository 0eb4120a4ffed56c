"""From the paths on a command line to files to analyze, with their transcripts and names."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath

from ..errors import EmofuseError, InputError
from ..io.media_types import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ..io.remote import RemoteFile, as_url, list_files

PLAYABLE = VIDEO_SUFFIXES | AUDIO_SUFFIXES
"""Suffixes by which video and audio are found in folders."""

SIDECARS = (".srt", ".vtt", ".ass", ".ssa", ".sbv")
"""Suffixes of transcripts that are used unasked when they lie beside a clip of the same name."""

RESERVED = (
    *("timeline.csv", "summary.csv", "index.html", "failures.csv"),
    *("journal.sqlite", "dataset"),
)
"""What lies beside the folders of results of a batch."""

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
        name: of its folder of results, with ``/`` for a folder in a folder; unique among the
            jobs of a plan.
        transcript: the file with what is said in it, if there is one.
        asked: whether somebody named the transcript; else it only lies beside the file.
        remote: where the file is if it is in a store; `path` then only names it.
        remote_transcript: URL of its transcript, if there is one.
    """

    path: Path
    name: str
    transcript: Path | None = None
    asked: bool = False
    remote: RemoteFile | None = None
    remote_transcript: str | None = None

    @property
    def source(self) -> str:
        """Path or URL of the file."""
        return self.remote.url if self.remote else str(self.path)


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
    explicitly, because most text in a folder of media is about the media. The folders of
    results mirror the folders that were walked.

    Args:
        paths: files, folders, patterns (``clips/**/*.mp4``), manifests: csv files with a
            column ``file`` and, if wanted, ``transcript``, relative to the manifest; and URLs
            of folders and files in stores (``s3://bucket/clips``).
        transcript: a transcript's path (then there must be one file); `AUTO`
            takes ``clip.srt`` or ``clip.vtt`` beside ``clip.mp4``, as players do.

    Raises:
        InputError: if one transcript is given for several files, or does not exist.
    """
    found: dict[object, _Found] = {}  # by real path: nothing is analyzed twice
    failures: list[Failure] = []
    skipped = 0
    for path in paths:
        try:
            media, passed, missing = _media_in(path)
        except InputError as e:
            failures.append((path, e))
            continue
        skipped += passed
        failures += missing
        for medium in media:
            found.setdefault(medium.identity, medium)
    batch = len(paths) > 1 or any(not path.is_file() or _is_manifest(path) for path in paths)
    if isinstance(transcript, Path):
        _check_transcript(transcript, len(found))
    several = sum(medium.root is not None for medium in found.values()) and len(paths) > 1
    names = _unique_names([_name(medium, bool(several)) for medium in found.values()])
    jobs = tuple(
        _job(medium, name, transcript) for medium, name in zip(found.values(), names, strict=True)
    )
    return Plan(jobs, tuple(failures), skipped, batch)


@dataclass(frozen=True, slots=True)
class _Found:
    """A medium; the folder that was walked to find it; the transcript that a manifest names.

    In a store `path` is the place below the listed folder, and `beside` its neighbors there.
    """

    path: Path
    root: Path | None = None
    transcript: Path | None = None
    remote: RemoteFile | None = None
    beside: Mapping[Path, str] = field(default_factory=dict)

    @property
    def identity(self) -> object:
        """What two names of the same file share."""
        return self.remote.url if self.remote else self.path.resolve()


def _job(medium: _Found, name: str, choice: Path | TranscriptChoice) -> Job:
    if medium.remote is None:
        asked = medium.transcript is not None or isinstance(choice, Path)
        said = medium.transcript or _transcript_of(medium.path, choice)
        return Job(medium.path, name, said, asked)
    beside = None
    if choice is TranscriptChoice.AUTO and medium.path.suffix.lower() in PLAYABLE:
        beside = next((url for p in _sidecars(medium.path) if (url := medium.beside.get(p))), None)
    return Job(medium.path, name, remote=medium.remote, remote_transcript=beside)


def _media_in(path: Path) -> tuple[list[_Found], int, list[Failure]]:
    """Return the media that a path names, how many other files a folder holds, and what is missing.

    Raises:
        InputError: if there is nothing, or nothing to analyze.
    """
    if (url := as_url(path)) is not None:
        return _in_store(url)
    try:
        if path.is_dir():
            walked, skipped, closed = _walk(path)
            return [_Found(medium, path) for medium in walked], skipped, closed
        if path.is_file():
            return _named(path)
        exists = path.exists()
    except (OSError, ValueError) as e:  # too long, forbidden, a NUL byte
        reason = getattr(e, "strerror", None) or e
        raise InputError(f"cannot open {str(path)[:200]!r}: {reason}") from e
    if not exists and (media := _matches(path)):
        return media, 0, []
    if not exists and str(path) == "-":
        raise InputError("media are not read from a pipe (-): save them to a file, and give that")
    if not exists:
        raise InputError(f"there is no file or folder {str(path)[:200]!r}; check the spelling")
    raise InputError(f"{path} is not a regular file; save its content to one first")


def _in_store(url: str) -> tuple[list[_Found], int, list[Failure]]:
    """Return the media at or below a URL, and how many other files there are."""
    files = list_files(url)
    root = Path(PurePosixPath(url.partition("?")[0]).name)
    beside = {root / file.below: file.url for file in files}
    wanted = PLAYABLE | IMAGE_SUFFIXES
    media = [file for file in files if file.below.suffix.lower() in wanted]
    if not media:
        raise InputError(f"no video, audio or images at {url} ({len(files)} other files)")
    found = [_Found(root / f.below, root, remote=f, beside=beside) for f in media]
    return found, len(files) - len(media), []


def _named(path: Path) -> tuple[list[_Found], int, list[Failure]]:
    """Take a file that was named: a medium, or a manifest."""
    if not _is_manifest(path):
        return [_Found(path)], 0, []
    media, missing = _read_manifest(path)
    return media, 0, missing


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _read_manifest(path: Path) -> tuple[list[_Found], list[Failure]]:
    """Read the media that a manifest lists; a line that names none costs that line only.

    Raises:
        InputError: if it cannot be read or has no column ``file``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            table = csv.DictReader(f)
            rows = list(table)
            columns = table.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"cannot read the manifest {path}: {e}; expected csv in UTF-8") from e
    if "file" not in columns or not rows:
        raise InputError(
            f"{path}: a manifest needs a column 'file' and a row for each medium, got "
            f"{len(rows)} rows with the columns {', '.join(columns) or 'none'}"
        )
    found: list[_Found] = []
    missing: list[Failure] = []
    for row in rows:
        medium = path.parent / (row["file"] or "")
        text = path.parent / row["transcript"] if row.get("transcript") else None
        absent = next((p for p in (medium, text) if p is not None and not p.is_file()), None)
        if absent is not None:
            missing.append((medium, InputError(f"{path} lists {absent}, which is no file")))
        else:
            root = None if Path(row["file"]).is_absolute() or ".." in row["file"] else path.parent
            found.append(_Found(medium, root, text))
    return found, missing


def _matches(pattern: Path) -> list[_Found]:
    """Return the media that a pattern matches, in alphabetical order."""
    if not glob.has_magic(str(pattern)):
        return []
    first = next(n for n, part in enumerate(pattern.parts) if glob.has_magic(part))
    root = Path(*pattern.parts[:first])
    wanted = PLAYABLE | IMAGE_SUFFIXES
    paths = sorted(root.glob("/".join(pattern.parts[first:])))
    return [_Found(p, root) for p in paths if p.suffix.lower() in wanted and p.is_file()]


def _walk(folder: Path) -> tuple[list[Path], int, list[Failure]]:
    """Return the media below a folder, how many other files there are, and closed folders."""
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
    closed: list[Failure] = [
        (Path(e.filename), InputError(f"cannot look into the folder {e.filename}: {e.strerror}"))
        for e in unreadable
    ]
    return found, skipped, closed


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
    return next((p for p in _sidecars(path) if p.is_file()), None)


def _sidecars(path: Path) -> Iterator[Path]:
    return (path.with_suffix(end) for ending in SIDECARS for end in (ending, ending.upper()))


def _name(medium: _Found, several: bool) -> str:
    """Name a medium after its place below the folder that was walked, ending and all.

    Args:
        medium: what was found.
        several: whether folders beside others have to be told apart.
    """
    if medium.root is None:
        return medium.path.name
    below = medium.path.relative_to(medium.root)
    top = medium.root.absolute().name
    return (Path(top) / below if several and top else below).as_posix()


def _unique_names(files: Sequence[str]) -> Iterator[str]:
    """Name folders after files: ``clip``, else ``clip.wav``, else ``clip.wav-2`` and so on.

    Names that differ in case only count as taken, for case-insensitive file systems.
    """
    taken = {*RESERVED}
    for file in files:
        stem = file[: len(file) - len(Path(file).suffix)]
        numbered = (f"{file}-{n}" for n in range(2, len(taken) + 3))
        name = next(n for n in (stem, file, *numbered) if n.lower() not in taken)
        taken.add(name.lower())
        yield name
