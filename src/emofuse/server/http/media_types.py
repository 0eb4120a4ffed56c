"""What an upload is, by its content: names and declared types are not believed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from ...core.media import MediaKind
from ...text.transcripts import decode
from .errors import ApiError

HEAD = 4096
"""Bytes from the start of a file that tell what it is."""

_NAME_LENGTH = 120


@dataclass(frozen=True, slots=True)
class ContentType:
    """What the content of a file is.

    Args:
        kind: picture, sound, text, or video; a container that can hold both sound and
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
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
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


_STILLS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_V, _A, _I = MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.IMAGE

_SIGNS: tuple[tuple[Callable[[bytes], bool], ContentType | None], ...] = (
    (_starts(b"\xff\xd8\xff"), ContentType(_I, ".jpg", "image/jpeg")),
    (_starts(b"\x89PNG\r\n\x1a\n"), ContentType(_I, ".png", "image/png")),
    (_riff(b"WEBP"), ContentType(_I, ".webp", "image/webp")),
    (_starts(b"II*\0", b"MM\0*"), ContentType(_I, ".tiff", "image/tiff")),
    (_starts(b"GIF87a", b"GIF89a"), ContentType(_V, ".gif", "image/gif")),
    (_brand(*_STILLS), None),  # pictures that Pillow does not surely read
    (_starts(b"%PDF", b"{\\rtf"), None),  # their first bytes could pass as text
    (_brand(b"M4A ", b"M4B "), ContentType(_A, ".m4a", "audio/mp4")),
    (_brand(b"qt  "), ContentType(_V, ".mov", "video/quicktime")),
    (_brand(), ContentType(_V, ".mp4", "video/mp4")),
    (lambda d: d[4:8] in (b"moov", b"mdat", b"wide"), ContentType(_V, ".mov", "video/quicktime")),
    (
        lambda d: d.startswith(b"\x1aE\xdf\xa3") and b"webm" in d[:64],
        ContentType(_V, ".webm", "video/webm"),
    ),
    (_starts(b"\x1aE\xdf\xa3"), ContentType(_V, ".mkv", "video/x-matroska")),
    (_riff(b"AVI "), ContentType(_V, ".avi", "video/x-msvideo")),
    (_riff(b"WAVE"), ContentType(_A, ".wav", "audio/wav")),
    (_starts(b"FLV\x01"), ContentType(_V, ".flv", "video/x-flv")),
    (_starts(b"0&\xb2u\x8ef\xcf\x11"), ContentType(_V, ".wmv", "video/x-ms-asf")),
    (_starts(b"\0\0\x01\xba", b"\0\0\x01\xb3"), ContentType(_V, ".mpg", "video/mpeg")),
    (_transport_stream, ContentType(_V, ".ts", "video/mp2t")),
    (_blu_ray_stream, ContentType(_V, ".mts", "video/mp2t")),
    (_ogg(video=True), ContentType(_V, ".ogv", "video/ogg")),
    (_ogg(video=False), ContentType(_A, ".ogg", "audio/ogg")),
    (_starts(b"fLaC"), ContentType(_A, ".flac", "audio/flac")),
    (_starts(b"ID3"), ContentType(_A, ".mp3", "audio/mpeg")),
    (
        lambda d: d[:4] == b"FORM" and d[8:12] in (b"AIFF", b"AIFC"),
        ContentType(_A, ".aiff", "audio/aiff"),
    ),
    (_adts, ContentType(_A, ".aac", "audio/aac")),
    (_mpeg_audio, ContentType(_A, ".mp3", "audio/mpeg")),
    (
        lambda d: d[:2] == b"BM" and d[6:10] == bytes(4) and len(d) > 26,
        ContentType(_I, ".bmp", "image/bmp"),
    ),
)
"""What the first bytes look like; the first that fits decides. None: known and not read."""

_CUE = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3}\s*-+>", re.MULTILINE)


def content_type(head: bytes, name: str = "the file") -> ContentType:
    """Tell what a file is from its first `HEAD` bytes.

    Raises:
        ApiError: ``unsupported-media`` if it is nothing that can be analyzed.
    """
    for fits, found in _SIGNS:
        if fits(head):
            if found is None:
                break
            return found
    else:
        if text := _text(head):
            return text
    raise ApiError(
        "unsupported-media",
        f"the content of {name} ({_describe(head)}) is no video, sound, picture or text that can "
        "be read; send mp4, mov, mkv, webm, avi, wav, mp3, flac, ogg, m4a, jpg, png, webp, txt, "
        "srt or vtt",
    )


def _text(head: bytes) -> ContentType | None:
    # The cut at HEAD may have gone through a character of several bytes.
    for cut in range(4):
        try:
            text = decode(head[: len(head) - cut] if len(head) == HEAD else head)
        except UnicodeError:
            continue
        if not text.strip() or any(c < " " and c not in "\t\n\r\f" for c in text):
            return None
        if text.lstrip("\ufeff").startswith("WEBVTT"):
            return ContentType(MediaKind.TEXT, ".vtt", "text/vtt")
        suffix = ".srt" if _CUE.search(text) else ".txt"
        return ContentType(MediaKind.TEXT, suffix, "text/plain; charset=utf-8")
    return None


def _describe(head: bytes) -> str:
    return "empty" if not head else f"it starts with {head[:8].hex(' ')}"


def display_name(name: str | None) -> str:
    """Reduce an uploaded file's name to something that can be shown and is never a path."""
    name = re.split(r"[/\\]", name or "")[-1]
    name = "".join(c for c in name if c.isprintable()).strip(" .")
    if len(name) > _NAME_LENGTH:
        stem, dot, ending = name.rpartition(".")
        kept = dot + ending if stem and len(ending) <= 8 else ""
        name = name[: _NAME_LENGTH - len(kept)] + kept
    return name or "upload"


def refuse_address(value: str, field: str) -> NoReturn:
    """Refuse an address or a path where a file's content is expected.

    Raises:
        ApiError: ``url-refused``, always.
    """
    raise ApiError(
        "url-refused",
        f"{field} is {value[:80]!r}, an address or a path: this server fetches nothing and opens "
        "no files of its own; send the content itself",
    )
