"""Uploads become temporary files, named by the server and typed by their content."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ...core.media import MediaKind
from ...io.media_types import HEAD, TEXT_SUFFIXES, ContentType, by_content, by_suffix
from ..jobs.tasks import Upload
from ..options import AnalysisOptions
from ..settings import MB
from .errors import ApiError

_FILES, _FIELDS = 6, 40
_NAME_LENGTH = 120
_LARGE, _VALUES = 4 * MB, 10_000  # a JSON body of more bytes holds no more values
_OPTIONS = tuple(AnalysisOptions.model_fields)
_FORM = ("file", "text", "transcript", "callback", *_OPTIONS)


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """What a client wants analyzed.

    Args:
        uploads: media and text, in a folder of the server.
        transcript: a transcript.
        options: how.
        callback: address that is told when it has ended; of jobs alone.
    """

    uploads: tuple[Upload, ...]
    transcript: Upload | None
    options: AnalysisOptions
    callback: str | None = None


class UploadFolder:
    """A folder for one request's files; an async context manager that removes it.

    Args:
        parent: where it is created.
    """

    def __init__(self, parent: Path) -> None:
        self.id = secrets.token_hex(8)
        self.home = parent / self.id

    @property
    def inputs(self) -> Path:
        """The folder of the uploads."""
        return self.home / "input"

    async def __aenter__(self) -> UploadFolder:
        await asyncio.to_thread(self.inputs.mkdir, parents=True, mode=0o700)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, self.home, True))

    async def keep(self, place: Path) -> None:
        """Move the folder to a permanent place."""

        def move() -> None:
            place.parent.mkdir(parents=True, exist_ok=True)
            self.home.rename(place)

        await asyncio.to_thread(move)


async def read_analysis_request(
    request: Request, incoming: UploadFolder, text_bytes: int
) -> AnalysisRequest:
    """Read a request; its files go into the folder of `incoming`.

    Args:
        request: multipart, or JSON with a text.
        incoming: receives the files.
        text_bytes: limit of a text.

    Raises:
        ApiError: if the request is invalid; see `docs/api.md`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        fields = await _read_json(request, text_bytes)
        rest = {k: v for k, v in fields.items() if k not in ("text", "callback")}
        options, callback = AnalysisOptions.read(rest), fields.get("callback") or None
        parsed = await asyncio.to_thread(_order, fields["text"], [], None, incoming, options)
        return replace(parsed, callback=None if callback is None else str(callback))
    if kind != "multipart/form-data":
        raise ApiError(
            "bad-request",
            f"the content type is {kind or 'missing'}, expected multipart/form-data with a field "
            '"file", or JSON with a "text"',
        )
    form = await _read_form(request, text_bytes)
    try:
        _check_fields(form)
        options = AnalysisOptions.read(
            {name: ",".join(map(str, form.getlist(name))) for name in _OPTIONS if name in form}
        )
        uploads = [
            await _save(value, incoming.inputs, f"{number}")
            for number, value in enumerate(form.getlist("file"))
        ]
        given = form.get("transcript")
        transcript = None if given is None else await _save(given, incoming.inputs, "transcript")
        text, callback = str(form.get("text", "")), str(form.get("callback", "")) or None
    finally:
        await form.close()
    if transcript is not None and transcript.type.kind is not MediaKind.TEXT:
        raise ApiError(
            "unsupported-media",
            f"the transcript {transcript.name} is not text; expected srt, vtt or txt",
        )
    parsed = await asyncio.to_thread(_order, text, uploads, transcript, incoming, options)
    return replace(parsed, callback=callback)


async def read_json(request: Request, most_bytes: int | None = None) -> Any:
    """Read a JSON body of bounded size that holds few values, besides the event loop.

    Raises:
        ApiError: ``too-large``.
        ValueError: if it is no JSON, or holds too many values.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if most_bytes is not None and len(body) > most_bytes:
            raise ApiError("too-large", f"a JSON body has at most {most_bytes} bytes here")
    return await asyncio.to_thread(_parse_json, bytes(body))


def _parse_json(body: bytes) -> Any:
    # Each of these begins a value, unless it stands in a string; what is large is one string.
    if len(body) > _LARGE and sum(map(body.count, (b"[", b"{", b","))) > _VALUES:
        raise ValueError("too many values")
    return json.loads(body)


async def _read_json(request: Request, text_bytes: int) -> dict[str, Any]:
    try:  # a character of a text takes up to three times as much when it is escaped
        fields = await read_json(request, 3 * text_bytes + 65536)
    except (ValueError, RecursionError):
        raise ApiError("bad-request", "the body is not valid JSON") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
        raise ApiError(
            "bad-request", 'expected a JSON object with a "text"; send files as multipart/form-data'
        )
    return fields


async def _read_form(request: Request, text_bytes: int) -> FormData:
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=_FILES,
        max_fields=_FIELDS,
        max_part_size=text_bytes,
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        reason = getattr(error, "message", None) or str(error) or "no boundary"
        if "exceeded maximum size" in reason:
            raise ApiError("too-large", f"a text field is longer than {text_bytes} bytes") from None
        raise ApiError("bad-request", f"the multipart body cannot be read: {reason}") from None


def _check_fields(form: FormData) -> None:
    unknown = sorted({key for key in form if key not in _FORM})
    if unknown:
        raise ApiError(
            "bad-argument",
            f"unknown field {unknown[0][:40]!r}; expected {', '.join(_FORM)}",
        )
    for name in ("text", "callback", *_OPTIONS):
        if any(isinstance(value, UploadFile) for value in form.getlist(name)):
            raise ApiError("bad-argument", f"{name} is a file, expected a plain field")
    for value in form.getlist("file"):
        if isinstance(value, str):
            raise ApiError(
                "url-refused",
                "file is a string, expected a file: no URL is fetched and no path is opened; text "
                "goes into the field text",
            )


async def _save(value: UploadFile | str, folder: Path, stem: str) -> Upload:
    """Write one upload into the folder."""
    if isinstance(value, str):  # a transcript as a plain field
        return await asyncio.to_thread(_write_text, value, folder, stem)
    name = display_name(value.filename)
    head = await value.read(HEAD)
    await value.seek(0)
    found = await asyncio.to_thread(content_type, head, name)
    _check_text(found, name)
    path = folder / f"{stem}{found.suffix}"
    size = await asyncio.to_thread(_copy, value.file, path)
    return Upload(path, name, found, size)


def _copy(source: BinaryIO, path: Path) -> int:
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        return target.tell()


def _write_text(text: str, folder: Path, stem: str, name: str = "text") -> Upload:
    data = text.encode("utf-8", "replace")
    found = by_content(data[:HEAD])
    if found is None or found.kind is not MediaKind.TEXT:  # "BM" or "ID3" may begin a text, too
        found = by_suffix("text.txt")
        assert found is not None
    path = folder / f"{stem}{found.suffix}"
    path.write_bytes(data)
    return Upload(path, name, found, len(data))


def _order(
    text: str,
    uploads: list[Upload],
    transcript: Upload | None,
    incoming: UploadFolder,
    options: AnalysisOptions,
) -> AnalysisRequest:
    if text.strip():
        uploads = [*uploads, _write_text(text, incoming.inputs, "text")]
    if not uploads:
        raise ApiError("bad-request", 'nothing to analyze: send a "file", or a "text"')
    return AnalysisRequest(tuple(uploads), transcript, options)


def refuse_callback(request: AnalysisRequest) -> None:
    """Refuse to call back about what is answered at once.

    Raises:
        ApiError: ``bad-argument`` if an address is given.
    """
    if request.callback is not None:
        raise ApiError("bad-argument", "callback: only a job ends later: use POST /v1/jobs")


def content_type(head: bytes, name: str = "the file") -> ContentType:
    """Tell what an upload is: names and declared types are not believed.

    Raises:
        ApiError: ``unsupported-media`` if it is nothing that can be analyzed.
    """
    if (found := by_content(head)) is not None:
        return found
    start = f"it starts with {head[:8].hex(' ')}" if head else "empty"
    raise ApiError(
        "unsupported-media",
        f"the content of {name} ({start}) is not a video, audio, image or text file that can be "
        "read; send mp4, mov, mkv, webm, avi, wav, mp3, flac, ogg, m4a, jpg, png, webp, txt, "
        "srt or vtt",
    )


def _check_text(found: ContentType, name: str) -> None:
    """Refuse a text whose name says that it is something else, as the command line does.

    Raises:
        ApiError: ``unsupported-media`` for ``README.md`` or ``table.csv``.
    """
    suffix = PurePath(name).suffix.lower()
    if found.kind is MediaKind.TEXT and suffix and suffix not in TEXT_SUFFIXES:
        raise ApiError(
            "unsupported-media",
            f"{name} holds text under a name that is not one of a transcript; name it "
            f"{PurePath(name).stem}.txt if it is what was said",
        )


def display_name(name: str | None) -> str:
    """Reduce a client's file name to something that can be shown and is never a path."""
    name = re.split(r"[/\\]", name or "")[-1]
    name = "".join(c for c in name if c.isprintable()).strip(" .")
    if len(name) > _NAME_LENGTH:
        stem, dot, ending = name.rpartition(".")
        kept = dot + ending if stem and len(ending) <= 8 else ""
        name = name[: _NAME_LENGTH - len(kept)] + kept
    return name or "upload"
