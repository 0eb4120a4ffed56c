"""Holds answers against the OpenAPI: whatever a test asks, the answer has to be as described."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs


class Contract:
    """What a server says of its answers.

    Args:
        described: its OpenAPI.
    """

    def __init__(self, described: dict[str, Any]) -> None:
        self.described = described
        self._paths = {
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$"): operations
            for path, operations in described["paths"].items()
        }
        self._components = _closed(described["components"])
        self._validator = cache(self._compile)

    def check(self, response: httpx.Response) -> None:
        """Check an answer's status, type and, of JSON, every key and value."""
        request = response.request
        found = next((o for path, o in self._paths.items() if path.match(request.url.path)), {})
        operation = found.get(request.method.lower())
        if operation is None:  # no route of the API, or no such method
            return
        answers, status = operation["responses"], str(response.status_code)
        where = f"{request.method} {request.url.path}: {status}"
        assert status in answers, f"{where} is not documented"
        kind = response.headers.get("content-type", "").partition(";")[0]
        content = answers[status].get("content", {})
        assert not content or {kind, "*/*"} & set(content), f"{where} has the type {kind!r}"
        schema = content.get(kind, {}).get("schema", {})
        if kind != "application/json" or "$ref" not in schema:
            return
        response.read()
        errors = self._validator(schema["$ref"]).iter_errors(response.json())
        told = [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in errors]
        assert not told, f"{where}: {told[:3]}"

    def check_message(self, message: Any) -> None:
        """Check a message of a live session."""
        errors = self._validator("#/components/schemas/LiveMessage").iter_errors(message)
        told = [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in errors]
        assert not told, f"{message}: {told[:3]}"

    def _compile(self, ref: str) -> Any:
        return jsonschema_rs.Draft202012Validator({"$ref": ref, "components": self._components})


def _closed(tree: Any) -> Any:
    """Forbid keys that a schema does not name, so that an undescribed one is found."""
    tree = copy.deepcopy(tree)
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        waiting += [v for v in (node.values() if isinstance(node, dict) else node) if _holds(v)]
        if isinstance(node, dict) and isinstance(node.get("properties"), dict):
            node.setdefault("additionalProperties", False)
    return tree


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)
