"""A client of `emofuse serve`: media go there, timelines come back.

    from emofuse.client import Client

    client = Client("http://127.0.0.1:8000")
    timeline = client.analyze("interview.mp4", slot=1.0, weights={"face": 0.6, "speech": 0.4})

Nothing is analyzed here, and no model is loaded.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import quote

import requests

from .core.timeline import Timeline
from .errors import EmofuseError, InputError
from .export.json import parse_json
from .io.atomic import atomic_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

Media = str | os.PathLike[str]
"""A file on this machine."""

State = Literal["QUEUED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED"]
"""Where a job stands."""

_CHUNK = 1 << 20  # bytes read at once
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between looks at a job


class Options(TypedDict, total=False):
    """How something is to be analyzed; what is left out is as the server has it.

    `docs/api.md` says what each means, `Client.choices` what each may be.
    """

    modalities: Sequence[str]
    asr: str
    language: str
    audio_track: str | int
    subtitle_track: str | int
    channels: Literal["mix", "speakers"]
    fps: float
    slot: float
    detector: str
    face_model: str
    speech_model: str
    text_model: str
    fusion: str
    fuser: str
    weights: Mapping[str, float]
    smoothing: str
    identity: bool
    group: bool


class ServerError(EmofuseError):
    """A server refused something, or does not answer.

    Args:
        code: stable, as `docs/api.md` lists them; ``unreachable`` if there is no answer.
        message: for people.
        status: of HTTP; 0 if there is no answer.
    """

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True, slots=True)
class Job:
    """An analysis on a server.

    Args:
        id: of the job.
        state: where it stands.
        progress: how much is done, in [0, 1]; None: nobody knows.
        seconds_done: seconds of media that are done.
        options: what was asked for; None where the server's own setting counts.
        formats: in which its result can be had.
        error: code and message, if it failed.
    """

    id: str
    state: State
    progress: float | None
    seconds_done: float
    options: Mapping[str, Any]
    formats: tuple[str, ...]
    error: tuple[str, str] | None

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state not in ("QUEUED", "IN_PROGRESS")


class Client:
    """Talks to one server; a context manager that closes its connections.

    Args:
        server: its address.
        token: for servers that require one.
        timeout: seconds without an answer after which a request is given up.
    """

    def __init__(
        self, server: str = "http://127.0.0.1:8000", token: str = "", timeout: float = 60.0
    ) -> None:
        self._server, self._timeout = server.rstrip("/"), timeout
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def analyze(
        self,
        *media: Media,
        text: str | None = None,
        transcript: Media | None = None,
        progress: Callable[[Job], None] | None = None,
        keep: bool = False,
        **options: Unpack[Options],
    ) -> Timeline:
        """Have media analyzed, wait, and return the timeline.

        Args:
            media: a video, sound or image, or an image and a sound.
            text: what is said, instead of a transcript or alone.
            transcript: a file with what is said.
            progress: is told how far it is.
            keep: whether upload and result stay on the server.
            options: how it is to be analyzed.

        Raises:
            ServerError: if the server refuses it, or the analysis fails.
            InputError: if a file cannot be read.
        """
        job = self.submit(*media, text=text, transcript=transcript, **options)
        try:
            return self.result(self.wait(job, progress))
        finally:
            if not keep:
                self.delete(job)

    def submit(
        self,
        *media: Media,
        text: str | None = None,
        transcript: Media | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """Start an analysis; see `analyze`."""
        fields = [(name, _field(value)) for name, value in options.items()]
        fields += [("text", text)] if text is not None else []
        files = [("file", Path(path)) for path in media]
        files += [("transcript", Path(transcript))] if transcript is not None else []
        body = _Form(fields, files)
        headers = {"Content-Type": body.content_type}
        return _job(self._ask("POST", "/v1/jobs", data=body, headers=headers).json())

    def wait(self, job: Job | str, progress: Callable[[Job], None] | None = None) -> Job:
        """Wait until a job has ended, and return it as it then is."""
        pause, seen = _FIRST_PAUSE, self.job(job)
        while True:
            if progress is not None:
                progress(seen)
            if seen.ended:
                return seen
            time.sleep(pause)
            pause, seen = min(1.5 * pause, _LONGEST_PAUSE), self.job(seen)

    def job(self, job: Job | str) -> Job:
        """Return a job as it is now."""
        return _job(self._ask("GET", _address(job)).json())

    def jobs(self, state: State | None = None, limit: int = 50) -> tuple[Job, ...]:
        """Return the jobs that the server tells of, newest first."""
        asked = {"state": state, "limit": limit}
        return tuple(map(_job, self._ask("GET", "/v1/jobs", params=asked).json()["jobs"]))

    def result(self, job: Job | str, *, edited: bool = True) -> Timeline:
        """Return the timeline of a job.

        Args:
            job: which.
            edited: with what was corrected by hand, or as it was found.

        Raises:
            ServerError: if there is none, with the reason.
        """
        asked = {"source": "edited" if edited else "machine"}
        answer = self._ask("GET", f"{_address(job)}/result", params=asked)
        text = answer.content.decode("utf-8", "replace")
        return parse_json(text, f"the result of job {_id(job)}")

    def download(
        self, job: Job | str, format: str, path: Media, *, overwrite: bool = False
    ) -> None:
        """Write the result of a job in a format (`Job.formats`) into a file.

        Raises:
            InputError: if there is such a file already.
            ServerError: if there is no result, or no such format.
        """
        place = Path(path)
        if place.exists() and not overwrite:
            raise InputError(f"{place} exists; give another name, or overwrite=True")
        asked = {"format": format}
        answer = self._ask("GET", f"{_address(job)}/result", params=asked, stream=True)
        with answer, atomic_path(place) as part, part.open("wb") as out:
            for chunk in answer.iter_content(_CHUNK):
                out.write(chunk)

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job."""
        return _job(self._ask("POST", f"{_address(job)}/cancel").json())

    def delete(self, job: Job | str) -> None:
        """Cancel a job if needed and delete it with its upload and result."""
        self._ask("DELETE", _address(job))

    def choices(self) -> dict[str, Any]:
        """Return what options may be on this server, and what they are by default."""
        found: dict[str, Any] = self._ask("GET", "/v1/options").json()
        return found

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, **given: Any) -> requests.Response:
        address = self._server + path
        try:
            answer = self._session.request(
                method, address, timeout=self._timeout, allow_redirects=False, **given
            )
        except requests.RequestException as e:
            told = f"{self._server} does not answer: {e}; is the server running?"
            raise ServerError("unreachable", told) from e
        if answer.status_code >= 300:
            raise _refusal(answer)
        return answer


def _refusal(answer: requests.Response) -> ServerError:
    try:
        error = answer.json()["error"]
        return ServerError(error["code"], error["message"], answer.status_code)
    except (ValueError, KeyError, TypeError):
        told = f"{answer.url} answered {answer.status_code}; is that a server of emofuse?"
        return ServerError("unknown", told, answer.status_code)


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def _address(job: Job | str) -> str:
    return f"/v1/jobs/{quote(_id(job), safe='')}"


def _field(value: Any) -> str:
    """Write an option as a form has it."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={number}" for key, number in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def _job(raw: Mapping[str, Any]) -> Job:
    error = raw["error"]
    return Job(
        id=raw["id"],
        state=raw["state"],
        progress=raw["progress"],
        seconds_done=raw["seconds_done"],
        options=raw["options"],
        formats=tuple(raw["formats"]),
        error=None if error is None else (error["code"], error["message"]),
    )


class _Form:
    """A multipart body that is read from disk as it is sent: memory does not grow with it."""

    def __init__(
        self, fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, Path]]
    ) -> None:
        self._boundary = secrets.token_hex(16)
        self._parts: list[bytes | Path] = []
        for name, value in fields:
            self._parts += [self._head(f'name="{name}"'), value.encode()]
        for name, path in files:
            shown = path.name.replace('"', "%22").replace("\r", " ").replace("\n", " ")
            self._parts += [self._head(f'name="{name}"; filename="{shown}"'), path]
        self._parts.append(f"\r\n--{self._boundary}--\r\n".encode())
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self._size = sum(map(_size, self._parts))

    def _head(self, about: str) -> bytes:
        return f"\r\n--{self._boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk


def _size(part: bytes | Path) -> int:
    if isinstance(part, bytes):
        return len(part)
    try:
        if part.is_file():
            return part.stat().st_size
    except OSError as e:
        raise InputError(f"cannot read {part}: {e.strerror}") from e
    raise InputError(f"{part}: no such file")
