"""Errors of the API; see "Errors" in `docs/api.md`."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field
from typing import Any

from ...errors import EmofuseError, InputError, MissingExtra, ModelError

STATUS = {
    "bad-request": 400,
    "bad-message": 400,
    "unauthorised": 401,
    "foreign-origin": 403,
    "foreign-host": 403,
    "operators-only": 403,
    "not-found": 404,
    "no-such-job": 404,
    "method-not-allowed": 405,
    "too-slow": 408,
    "not-finished": 409,
    "not-cancellable": 409,
    "job-failed": 410,
    "job-cancelled": 410,
    "precondition-failed": 412,
    "too-large": 413,
    "too-long": 413,
    "too-many-pixels": 413,
    "too-many-frames": 413,
    "unsupported-media": 415,
    "bad-range": 416,
    "unusable": 422,
    "bad-argument": 422,
    "bad-combination": 422,
    "url-refused": 422,
    "no-face": 422,
    "precondition-required": 428,
    "busy": 429,
    "too-many-jobs": 429,
    "too-many-sessions": 429,
    "too-many-attempts": 429,
    "internal": 500,
    "crashed": 500,
    "model-unavailable": 503,
    "stopping": 503,
    "store-busy": 503,
    "store-damaged": 503,
    "took-too-long": 504,
    "storage-full": 507,
}
"""HTTP status of every error code of a request."""

JOB_CODES = frozenset({"crashed", "interrupted", "media-lost", "damaged"})
"""Further codes of failed jobs."""


@dataclass(slots=True)
class ApiError(Exception):
    """An error with a stable code for programs and a message for people.

    It can be pickled, to pass between processes.

    Args:
        code: a key of `STATUS`, or one of `JOB_CODES`.
        message: what was got, what was expected, what to do.
        retry_after: seconds after which a retry makes sense.
    """

    code: str
    message: str
    retry_after: int | None = field(default=None)

    def __post_init__(self) -> None:
        if self.code not in STATUS and self.code not in JOB_CODES:
            raise ValueError(f"unknown error code {self.code!r}")

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message, self.retry_after)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS.get(self.code, 500)

    @property
    def body(self) -> dict[str, Any]:
        """The response's body."""
        return {"error": {"code": self.code, "message": self.message}}

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.code == "unauthorised":
            headers["WWW-Authenticate"] = 'Bearer realm="emofuse"'
        return headers


def from_emofuse(error: EmofuseError) -> ApiError:
    """Turn an error of the engine into one of the API."""
    if (full := _full(error)) is not None:
        return full
    message = without_folders(str(error))
    if isinstance(error, InputError):
        return ApiError("unusable", message)
    if isinstance(error, (ModelError, MissingExtra)):
        return ApiError("model-unavailable", message)
    return ApiError("internal", message)


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def from_os(error: OSError) -> ApiError | None:
    """Turn an error of the system into one of the API, if it says that the disk is full."""
    if error.errno not in _NO_SPACE:
        return None
    told = "the server's disk is full; try again later"
    return ApiError("storage-full", told, retry_after=30)


def _full(error: BaseException | None) -> ApiError | None:
    """Look for a full disk among the causes of an error."""
    while error is not None:
        if isinstance(error, OSError) and (full := from_os(error)) is not None:
            return full
        error = error.__cause__
    return None


_FOLDERS = re.compile(r"(?<![\w.:/])/(?!v1/)(?:[^\s/'\",;:()]+/)+(?=[^\s/])")


def without_folders(message: str) -> str:
    """Reduce the paths in a message to names: where the server keeps files is its own business.

    >>> without_folders("cannot read /srv/jobs/3/input/0.mp4: see POST /v1/jobs")
    'cannot read 0.mp4: see POST /v1/jobs'
    """
    return _FOLDERS.sub("", message)
