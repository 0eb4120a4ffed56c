"""The client: a method for what a server does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ..core.timeline import Timeline
from ..errors import InputError
from ..export.json import parse_json
from ..io.atomic import atomic_path
from .errors import ServerError, refusal, unreachable
from .form import CHUNK, Form
from .live import Packet, stream
from .types import (
    AnalysisOptions,
    Choices,
    Health,
    Job,
    Jobs,
    JobState,
    LiveMessage,
    Models,
    Observation,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..annotations import Annotations, Edit

Media = str | os.PathLike[str]
"""A file on this machine."""

_CONNECT_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between looks at a job
_UNFINISHED: tuple[JobState, ...] = ("QUEUED", "IN_PROGRESS")

# A server that is restarted or busy for some seconds does not end the wait for a job that it has.
_RETRY = Retry(
    total=5,
    read=0,
    backoff_factor=0.5,
    status_forcelist=(429, 503),
    allowed_methods=("GET",),
    raise_on_status=False,
)


class Client:
    """Talks to one server; a context manager that closes its connections.

    Args:
        server: its address.
        token: for servers that require one.
        timeout: seconds without an answer after which a request is given up. What is analyzed, or
            drawn into a film, while the request waits is answered when it is done.
    """

    def __init__(
        self, server: str = "http://127.0.0.1:8000", token: str = "", timeout: float = 180.0
    ) -> None:
        self._server, self._timeout = server.rstrip("/"), timeout
        self._session = requests.Session()
        self._session.mount(f"{self._server}/v1/jobs/", HTTPAdapter(max_retries=_RETRY))
        self._access = {"Authorization": f"Bearer {token}"} if token else {}
        self._session.headers.update(self._access)

    def analyze(
        self,
        *media: Media,
        text: str | None = None,
        transcript: Media | None = None,
        progress: Callable[[Job], None] | None = None,
        keep: bool = False,
        **options: Unpack[AnalysisOptions],
    ) -> Timeline:
        """Have media analyzed by a job, wait, and return the timeline.

        Args:
            media: a video, sound or image, or an image and a sound.
            text: what is said, instead of a transcript or alone.
            transcript: a file with what is said.
            progress: is told how far it is.
            keep: whether upload and result stay on the server.
            options: how it is to be analyzed; None: as the server has it.

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

    def analyze_at_once(
        self,
        *media: Media,
        text: str | None = None,
        transcript: Media | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Timeline:
        """Have something short analyzed in one request, without a job; see `analyze`.

        `health` tells how short (`limits.analyze`). Nothing stays on the server.
        """
        form = _form({**options, "text": text}, media, transcript)
        return _timeline(self._send_form("/v1/analyze", form), "the result")

    def observe(
        self,
        *,
        image: Media | None = None,
        audio: Media | None = None,
        text: str | None = None,
        face_crop: bool = False,
        **options: Unpack[AnalysisOptions],
    ) -> Observation:
        """Take a face, a voice and words as one observation, without a time.

        Args:
            image: of a face.
            audio: of a voice.
            text: what is said.
            face_crop: whether the image is nothing but a face.
            options: how it is to be analyzed.

        Raises:
            ServerError: if the server refuses it.
            InputError: if a file cannot be read.
        """
        given = [medium for medium in (image, audio) if medium is not None]
        form = _form({**options, "text": text}, given)
        asked = {"face_crop": face_crop}
        found: Observation = _json(self._send_form("/v1/observe", form, params=asked))
        return found

    def fuse(
        self, observation: Observation, weights: Mapping[str, float] | None = None
    ) -> Observation:
        """Fuse an observation again, with other weights; no model is run.

        Args:
            observation: what `observe` returned.
            weights: modality → how much it counts; None: as the server has it.
        """
        body = {"observation": observation, "weights": weights}
        found: Observation = _json(self._ask("POST", "/v1/fuse", json=body))
        return found

    def submit(
        self,
        *media: Media,
        text: str | None = None,
        transcript: Media | None = None,
        callback: str | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Job:
        """Start an analysis; see `analyze`.

        Args:
            media: what is to be analyzed.
            text: what is said.
            transcript: a file with what is said.
            callback: address that is told when the job has ended, where the server allows it.
            options: how it is to be analyzed.
        """
        form = _form({**options, "text": text, "callback": callback}, media, transcript)
        return _job(self._send_form("/v1/jobs", form))

    def wait(self, job: Job | str, progress: Callable[[Job], None] | None = None) -> Job:
        """Wait until a job has ended, and return it as it then is."""
        pause, seen = _FIRST_PAUSE, self.job(job)
        while True:
            if progress is not None:
                progress(seen)
            if seen["state"] not in _UNFINISHED:
                return seen
            time.sleep(pause)
            pause, seen = min(1.5 * pause, _LONGEST_PAUSE), self.job(seen)

    def job(self, job: Job | str) -> Job:
        """Return a job as it is now."""
        return _job(self._ask("GET", _address(job)))

    def jobs(self, state: JobState | None = None, limit: int = 50) -> tuple[Job, ...]:
        """Return the jobs that the server tells of, newest first."""
        asked = {"state": state, "limit": limit}
        found: Jobs = _json(self._ask("GET", "/v1/jobs", params=asked))
        return tuple(found["jobs"])

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
        return _timeline(answer, f"the result of job {_id(job)}")

    def download(
        self, job: Job | str, format: str, path: Media, *, overwrite: bool = False
    ) -> None:
        """Write the result of a job in a format (``job["formats"]``) into a file.

        Raises:
            InputError: if there is such a file already.
            ServerError: if there is no result, or no such format.
        """
        place = Path(path)
        if place.exists() and not overwrite:
            raise InputError(f"{place} exists; give another name, or overwrite=True")
        asked = {"format": format}
        answer = self._ask("GET", f"{_address(job)}/result", params=asked, stream=True)
        with self._answering(), answer, atomic_path(place) as part, part.open("wb") as out:
            for chunk in answer.iter_content(CHUNK):
                out.write(chunk)

    def annotations(self, job: Job | str) -> Annotations:
        """Return what was corrected by hand in the result of a job."""
        return _annotations(self._ask("GET", f"{_address(job)}/annotations"))

    def annotate(
        self, job: Job | str, edits: Iterable[Edit], onto: Annotations | None = None
    ) -> Annotations:
        """Correct the result of a job; its timeline has the edits from then on.

        Args:
            job: which.
            edits: what to add (`emofuse.annotations`).
            onto: what the edits were made on; None: whatever is there.

        Returns:
            All edits.

        Raises:
            ServerError: ``precondition-failed`` if somebody else was faster than `onto`;
                ``unusable`` if an edit cannot be done: then none is kept.
        """
        body = {"edits": [edit.model_dump(mode="json") for edit in edits]}
        headers = {"If-Match": "*" if onto is None else f'"{onto.etag}"'}
        address = f"{_address(job)}/annotations"
        return _annotations(self._ask("POST", address, json=body, headers=headers))

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job."""
        return _job(self._ask("POST", f"{_address(job)}/cancel"))

    def delete(self, job: Job | str) -> None:
        """Cancel a job if needed and delete it with its upload and result."""
        self._ask("DELETE", _address(job))

    def live(
        self,
        packets: Iterable[Packet],
        *,
        video: bool = True,
        audio: bool = True,
        asr: bool = True,
        rate: int = 16_000,
    ) -> Iterator[LiveMessage]:
        """Have pictures and sound analyzed while they come, and yield what the server says.

        Packets are taken in a thread of their own, from when the server is ready
        (``session.created``), and sent at once: they should come when their time has come. When
        there are no more, the last results follow, then ``session.closed``.

        Args:
            packets: pictures and sound, in order of time; an error that they raise ends the session
                and is raised here. A measurement's ``number`` is the place of its picture, from 0.
            video: whether pictures will come.
            audio: whether sound will come.
            asr: whether speech is recognized, if the server can.
            rate: sampling rate of the sound in Hz, 8000 … 48000.

        Raises:
            MissingExtra: without the extra ``web``.
            ServerError: if the server refuses the session, or the connection is lost.
        """
        asked = {"video": int(video), "audio": int(audio), "asr": int(asr), "rate": rate}
        address = f"ws{self._server.removeprefix('http')}/v1/stream?{urlencode(asked)}"
        return stream(address, self._access, packets, self._timeout)

    def choices(self) -> Choices:
        """Return what options may be on this server, and what they are by default."""
        found: Choices = _json(self._ask("GET", "/v1/options"))
        return found

    def models(self) -> Models:
        """Return the server's models, their figures and their limitations."""
        found: Models = _json(self._ask("GET", "/v1/models"))
        return found

    def health(self) -> Health:
        """Return how the server is, also if it is not well (``status``), and its limits."""
        answer = self._send("GET", "/v1/health")
        if answer.status_code not in (200, 503):
            raise refusal(answer.url, answer.status_code, answer.content)
        found: Health = _json(answer)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_form(self, path: str, form: Form, **given: Any) -> requests.Response:
        return self._ask("POST", path, data=form, headers=form.headers, **given)

    def _ask(self, method: str, path: str, **given: Any) -> requests.Response:
        answer = self._send(method, path, **given)
        if answer.status_code >= 300:
            raise refusal(answer.url, answer.status_code, answer.content)
        return answer

    def _send(self, method: str, path: str, **given: Any) -> requests.Response:
        timeout = (_CONNECT_SECONDS, self._timeout)
        with self._answering():
            return self._session.request(
                method, self._server + path, timeout=timeout, allow_redirects=False, **given
            )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Tell in our words that a server does not answer."""
        try:
            yield
        except requests.ReadTimeout as e:
            told = f"{self._server} did not answer within {self._timeout:g} s; if it is at work, "
            raise ServerError("unreachable", f"{told}give it longer: Client(timeout=…)") from e
        except requests.RequestException as e:
            raise unreachable(self._server, e) from e


def _form(
    fields: Mapping[str, Any], media: Iterable[Media], transcript: Media | None = None
) -> Form:
    files = [("file", Path(path)) for path in media]
    files += [("transcript", Path(transcript))] if transcript is not None else []
    return Form(fields, files)


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job["id"]


def _address(job: Job | str) -> str:
    return f"/v1/jobs/{quote(_id(job), safe='')}"


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError as e:
        raise refusal(answer.url, answer.status_code, answer.content) from e


def _job(answer: requests.Response) -> Job:
    job: Job = _json(answer)
    return job


def _timeline(answer: requests.Response, what: str) -> Timeline:
    return parse_json(answer.content.decode("utf-8", "replace"), what)


def _annotations(answer: requests.Response) -> Annotations:
    from ..annotations.log import parse_annotations

    return parse_annotations(answer.content.decode("utf-8", "replace"), answer.url)
