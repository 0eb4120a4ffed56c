"""Mutations of bytes and of text; the same for the same random numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

LONGEST = 200_000
"""Bytes of the longest input."""

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

_TOKENS = (
    *("-->", " --> ", "00:00:00,000", "99:59:59.999", "WEBVTT\n", "NOTE\n", "<v ", "<v Mary>"),
    *("<", ">", "<c.", "</", "{\\an8}", "{", "}", "[", "]", "(", ")", "♪", "- ", ": ", "? ", "b. "),
    *("&#x110000;", "&#0;", "&#xD800;", "&#99999999999999999999;", "&amp", "&", "&lt;"),
    *("!!python/object:os.system x", "&a [*a]", "*a", "&a ", "<<: *a\n", "? ", "|\n", "--- \n"),
    *("\n\n", "\n", "\r", "\r\n", "\t", "\x00", "\ufeff", "\u202e", "\u2028", "\x85", "\ud7ff"),
    *("NaN", ".nan", "inf", "-1", "1e999", "-0", "1_0", "0x10", "0o7", "null", "true", '""', "''"),
    *(",", ";", '"', "'", "\\", "=", "#", "%", "../", "/dev/zero", "~", "é", "你好。", "😀"),
    *("<!DOCTYPE a [<!ENTITY a 'aaaa'>]>", "<!ENTITY a '&a;&a;'>", "&a;", "]]>", "<![CDATA["),
)
"""What parsers trip over."""

_RUNS = ("b. ", "<v ", ".", "a", "9", "[", "{", "(", "- ", "a: ", " ", "\n", "&#", "<", "-->", "'")
"""What quadratic or recursive parsers trip over, many times."""

_TEXT_ALONE = 0.8
"""So many texts are changed in ways of text only."""

Mutation = Callable[[Random, bytes, bytes], bytes]
"""Changes data; another seed is given to take from."""


def mutated(random: Random, data: bytes, other: bytes, is_text: bool) -> bytes:
    """Change data in one to eight places.

    Args:
        random: decides everything.
        data: a seed.
        other: another seed of the same kind.
        is_text: whether places in text are changed, too.
    """
    # Broken UTF-8 is refused at once: most texts stay text.
    choices = _BINARY
    if is_text:
        choices = _TEXT if random.random() < _TEXT_ALONE else _TEXT + _BINARY
    for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
        data = random.choice(choices)(random, data, other)[:LONGEST]
    return data


def _place(random: Random, data: bytes) -> int:
    """Return a place; half of them are in the header."""
    end = len(data) if random.random() < 0.5 else min(len(data), 512)
    return random.randrange(end + 1)


def _piece(random: Random, data: bytes) -> tuple[int, int]:
    start = _place(random, data)
    return start, start + min(len(data) - start, int(random.expovariate(1 / 200)) + 1)


def _flip(random: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 4, 32))):
        if changed:
            at = min(_place(random, data), len(changed) - 1)
            changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


def _number(random: Random, data: bytes, other: bytes) -> bytes:
    """Put an interesting number over what is there."""
    form = random.choice(("B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    value = (random.choice(_NUMBERS) + random.choice((0, 0, 1, -1))) % (1 << 8 * size)
    at = _place(random, data)
    return data[:at] + struct.pack(form, value) + data[at + size :]


def _delete(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _piece(random, data)
    return data[:start] + data[end:]


def _double(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _piece(random, data)
    return data[:end] + data[start:end] * random.choice((1, 2, 50)) + data[end:]


def _noise(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _piece(random, data)
    return data[:start] + random.randbytes(end - start) + data[end:]


def _zeros(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _piece(random, data)
    return data[:start] + bytes([random.choice((0, 255))]) * (end - start) + data[end:]


def _cut(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _splice(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    return data[:at] + other[_place(random, other) :]


def _join(random: Random, data: bytes, other: bytes) -> bytes:
    return data + random.choice((data, other))


def _token(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _piece(random, data)
    end = random.choice((start, end))
    return data[:start] + random.choice(_TOKENS).encode() + data[end:]


def _run(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    longest = random.choice((50, 5000, 5000, 20_000, 20_000, 60_000))
    return data[:at] + (random.choice(_RUNS).encode() * longest)[:longest] + data[at:]


def _digits(random: Random, data: bytes, other: bytes) -> bytes:
    """Put a number of many digits where one is."""
    places = [n for n, sign in enumerate(data) if 48 <= sign <= 57]
    if not places:
        return data
    at = random.choice(places)
    return data[:at] + b"9" * random.choice((1, 3, 20, 400, 5000)) + data[at + 1 :]


def _lines(random: Random, data: bytes, other: bytes) -> bytes:
    """Put the lines in another order."""
    lines = data.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines)


def _encode(random: Random, data: bytes, other: bytes) -> bytes:
    """Store a text in another encoding."""
    encoding = random.choice(
        ("utf-16", "utf-16-be", "utf-32", "cp1251", "big5", "gb18030", "cp037")
    )
    return data.decode("utf-8", "replace").encode(encoding, "replace")


_BINARY: tuple[Mutation, ...] = (
    *(_flip, _number, _number, _number, _delete, _double, _noise, _zeros, _cut, _splice, _join),
)
_TEXT: tuple[Mutation, ...] = (
    *(_token, _token, _token, _run, _digits, _lines, _encode, _delete, _double, _cut, _splice),
)
