"""Text files in whatever encoding they are met."""

from __future__ import annotations

import codecs

_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "koi8_r"),
)
"""Encodings that are told apart, besides Unicode's."""


def decode(data: bytes) -> tuple[str, str | None]:
    r"""Decode a text file by its byte order mark, as UTF-8, or as what it looks like.

    Line ends become ``\n``.

    Returns:
        The text, and the encoding if it had to be guessed (by charset-normalizer).

    >>> decode(b"hello\r\n")
    ('hello\n', None)
    >>> decode("Привет, как дела? Я очень рад тебя видеть.".encode("cp1251"))[1]
    'cp1251'

    Raises:
        UnicodeError: if the bytes are no text.
    """
    guessed: str | None = None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16")
    elif b"\0" in data:
        raise UnicodeError("it holds zero bytes")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text, guessed = _guess(data)
    return text.replace("\r\n", "\n").replace("\r", "\n"), guessed


def _guess(data: bytes) -> tuple[str, str]:
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=list(_ENCODINGS)).best()
    foreign = sum(byte > 127 for byte in data)
    if best is None or foreign < max(8, 0.15 * len(data)):
        # A few accents in a Latin text say little; Windows-1252 is the usual one. Five bytes
        # mean nothing there; Latin-1 gives them a code as well.
        return "".join(map(_windows_sign, data)), "cp1252"
    return str(best), best.encoding


def _windows_sign(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)
