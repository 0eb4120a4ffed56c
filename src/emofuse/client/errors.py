"""What a server refuses, as an exception."""

from __future__ import annotations

import json

from ..errors import EmofuseError


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


def refusal(address: str, status: int, body: bytes) -> ServerError:
    """Return what an answer that is no success says."""
    try:
        error = json.loads(body)["error"]
        return ServerError(error["code"], error["message"], status)
    except (ValueError, KeyError, TypeError):
        told = f"{address} answered {status}; is that a server of emofuse?"
        return ServerError("unknown", told, status)


def unreachable(server: str, cause: Exception) -> ServerError:
    """Return what is told where nobody answers."""
    told = f"{server} does not answer: {cause}; is the server running?"
    return ServerError("unreachable", told)
