"""Nets for text: each name with the module and attribute of its `NetKind`."""

KINDS: dict[str, str] = {}
