"""The one table of suffixes and content types, and what a file is by its content."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from ..core.media import MediaKind
from .text import decode

HEAD = 4096
"""Bytes from the start of a file that tell what it is."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """What the content of a file is.

    Args:
        kind: image, audio, text, or video; a container that can hold both audio and
            video counts as video until it is opened.
        suffix: the file name's ending that goes with it.
        mime: the media type that goes with it.
    """

    kind: MediaKind
    suffix: str
    mime: str


def _starts(*heads: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(heads)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda data: data[:4] == b"RIFF" and data[8:12] == form


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    """ISO base media (MP4 and its kin) of one of these brands; none: of any."""
    return lambda data: data[4:8] == b"ftyp" and (not brands or data[8:12] in brands)


def _mpeg_audio(data: bytes) -> bool:
    """An MPEG audio frame whose fields have no forbidden values."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0 or data[1] == 0xFE:  # UTF-16
        return False
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    return version != 1 and layer != 0 and data[2] >> 4 != 15 and data[2] >> 2 & 3 != 3


def _adts(data: bytes) -> bool:
    return len(data) > 2 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0


def _transport_stream(data: bytes) -> bool:
    return len(data) > 376 and all(data[i] == 0x47 for i in (0, 188, 376))


def _blu_ray_stream(data: bytes) -> bool:
    return len(data) > 388 and all(data[i] == 0x47 for i in (4, 196, 388))


def _ogg(video: bool) -> Callable[[bytes], bool]:
    return lambda data: data[:4] == b"OggS" and (b"theora" in data[:512]) is video


_V, _A, _I, _T = MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.IMAGE, MediaKind.TEXT

_TABLE = (
    (_V, "video/mp4", ".mp4 .m4v"),
    (_V, "video/quicktime", ".mov"),
    (_V, "video/x-matroska", ".mkv"),
    (_V, "video/webm", ".webm"),
    (_V, "video/x-msvideo", ".avi"),
    (_V, "video/x-flv", ".flv"),
    (_V, "video/x-ms-asf", ".wmv"),
    (_V, "video/mpeg", ".mpg .mpeg"),
    (_V, "video/mp2t", ".ts .mts .m2ts"),
    (_V, "video/ogg", ".ogv"),
    (_V, "video/3gpp", ".3gp"),
    (_V, "image/gif", ".gif"),
    (_A, "audio/wav", ".wav"),
    (_A, "audio/mpeg", ".mp3"),
    (_A, "audio/flac", ".flac"),
    (_A, "audio/ogg", ".ogg .oga .opus"),
    (_A, "audio/mp4", ".m4a"),
    (_A, "audio/aac", ".aac"),
    (_A, "audio/aiff", ".aiff .aif"),
    (_A, "audio/x-matroska", ".mka"),
    (_A, "audio/x-ms-wma", ".wma"),
    (_I, "image/jpeg", ".jpg .jpeg"),
    (_I, "image/png", ".png"),
    (_I, "image/webp", ".webp"),
    (_I, "image/bmp", ".bmp"),
    (_I, "image/tiff", ".tiff .tif"),
    (_I, "image/heic", ".heic .heif .avif"),
    (_T, "text/plain; charset=utf-8", ".srt .txt"),
    (_T, "text/vtt", ".vtt"),
    (_T, "text/plain; charset=utf-8", ".sbv .ass .ssa"),
    (_T, "application/json", ".json"),
    (_T, "text/tab-separated-values", ".tsv"),
    (_T, "application/xml", ".eaf"),
    (_T, "text/praat-textgrid", ".textgrid"),
)

_BY_SUFFIX = {
    suffix: ContentType(kind, suffix, mime)
    for kind, mime, suffixes in _TABLE
    for suffix in suffixes.split()
}

VIDEO_SUFFIXES, AUDIO_SUFFIXES, IMAGE_SUFFIXES, TEXT_SUFFIXES = (
    frozenset(suffix for suffix, found in _BY_SUFFIX.items() if found.kind is kind)
    for kind in (_V, _A, _I, _T)
)


def by_suffix(name: PurePath | str) -> ContentType | None:
    """Tell what a file should be from its name; None if the suffix is not in the table.

    >>> by_suffix("Clip.MP4").mime
    'video/mp4'
    >>> by_suffix("notes.docx")
    """
    return _BY_SUFFIX.get(PurePath(name).suffix.lower())


_NO_PROSE = re.compile(
    r"\s*(?:<(?:\?xml|!doctype|html|svg|asx|smil|playlist)\b"
    r"|%!PS|#EXTM3U|\[playlist\]|ffconcat\s|\{\\rtf)",
    re.IGNORECASE,
)
"""Beginnings of files that are text and nobody's words: pages, drawings, PostScript, lists of files
to play (which may name any file of the machine that opens them)."""
_STILLS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_SIGNS: tuple[tuple[Callable[[bytes], object], str | None], ...] = (
    (_starts(b"\xff\xd8\xff"), ".jpg"),
    (_starts(b"\x89PNG\r\n\x1a\n"), ".png"),
    (_riff(b"WEBP"), ".webp"),
    (_starts(b"II*\0", b"MM\0*"), ".tiff"),
    (_starts(b"GIF87a", b"GIF89a"), ".gif"),
    (_brand(*_STILLS), ".heic"),
    (_starts(b"%PDF", b"\xc5\xd0\xd3\xc6"), None),  # their first bytes could pass as text
    (_brand(b"M4A ", b"M4B "), ".m4a"),
    (_brand(b"qt  "), ".mov"),
    (_brand(), ".mp4"),
    (lambda d: d[4:8] in (b"moov", b"mdat", b"wide"), ".mov"),
    (
        lambda d: d.startswith(b"\x1aE\xdf\xa3") and b"webm" in d[:64],
        ".webm",
    ),
    (_starts(b"\x1aE\xdf\xa3"), ".mkv"),
    (_riff(b"AVI "), ".avi"),
    (_riff(b"WAVE"), ".wav"),
    (_starts(b"FLV\x01"), ".flv"),
    (_starts(b"0&\xb2u\x8ef\xcf\x11"), ".wmv"),
    (_starts(b"\0\0\x01\xba", b"\0\0\x01\xb3"), ".mpg"),
    (_transport_stream, ".ts"),
    (_blu_ray_stream, ".mts"),
    (_ogg(video=True), ".ogv"),
    (_ogg(video=False), ".ogg"),
    (_starts(b"fLaC"), ".flac"),
    (_starts(b"ID3"), ".mp3"),
    (
        lambda d: d[:4] == b"FORM" and d[8:12] in (b"AIFF", b"AIFC"),
        ".aiff",
    ),
    (_adts, ".aac"),
    (_mpeg_audio, ".mp3"),
    (
        lambda d: d[:2] == b"BM" and d[6:10] == bytes(4) and len(d) > 26,
        ".bmp",
    ),
)
"""What the first bytes look like; the first that fits decides. None: known and not read."""

_CUE = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3}\s*-+>", re.MULTILINE)


def by_content(head: bytes) -> ContentType | None:
    """Tell what a file is from its first `HEAD` bytes; None if it cannot be analyzed.

    >>> by_content(b"fLaC" + bytes(20)).kind.value
    'audio'
    >>> by_content(b"%PDF-1.7")
    """
    for fits, suffix in _SIGNS:
        if fits(head):
            return None if suffix is None else _BY_SUFFIX[suffix]
    suffix = _text_suffix(head)
    return None if suffix is None else _BY_SUFFIX[suffix]


def _text_suffix(head: bytes) -> str | None:
    # The cut at HEAD may have gone through a character of several bytes.
    for cut in range(4):
        try:
            text, _ = decode(head[: len(head) - cut] if len(head) == HEAD else head)
        except UnicodeError:
            continue
        if _NO_PROSE.match(text.lstrip("\ufeff")):
            return None
        if not text.strip() or any(c < " " and c not in "\t\n\r\f" for c in text):
            return None
        if text.lstrip("\ufeff").startswith("WEBVTT"):
            return ".vtt"
        return ".srt" if _CUE.search(text) else ".txt"
    return None
