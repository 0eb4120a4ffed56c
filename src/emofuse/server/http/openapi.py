"""The API's description for machines."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from ..auth.auth import COOKIE, OPEN
from . import live, results, schemas

_HANDLED_BY_US = (schemas.NewEdits, results.FuseRequest, live.LiveMessage)
"""Models of what FastAPI neither parses nor sends, and so does not describe."""

_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "EMOFUSE_TOKEN, or a user's"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "by POST /v1/login",
    },
}


def operation_id(route: APIRoute) -> str:
    """Return what an operation is called in programs: the name of its function."""
    return route.name


def describe(app: FastAPI, closed: bool) -> dict[str, Any]:
    """Describe the API.

    Args:
        app: the application.
        closed: whether a token is needed.
    """
    schema = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    _, by_hand = models_json_schema(
        [(model, "validation") for model in _HANDLED_BY_US],
        ref_template="#/components/schemas/{model}",
    )
    schema["components"]["schemas"] = (
        schemas.FORMS | by_hand["$defs"] | schema["components"]["schemas"]
    )
    schema["components"]["securitySchemes"] = _SCHEMES
    schema["security"] = [{name: []} for name in _SCHEMES] + ([] if closed else [{}])
    for path in OPEN & set(schema["paths"]):
        for operation in schema["paths"][path].values():
            operation["security"] = []
    return schema
