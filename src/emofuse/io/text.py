"""Text files in whatever encoding they are met."""

from __future__ import annotations

import codecs


def decode(data: bytes) -> str:
    r"""Decode a text file by its byte order mark, as UTF-8, or as Windows-1252.

    Line ends become ``\n``.

    >>> decode(b"na\xefve\r\n")
    'naïve\n'

    Raises:
        UnicodeError: if the bytes are no text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16")
    elif b"\0" in data:
        raise UnicodeError("it holds zero bytes")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            # Five bytes mean nothing in Windows-1252; Latin-1 gives them a code as well.
            text = "".join(map(_windows_sign, data))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _windows_sign(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)
