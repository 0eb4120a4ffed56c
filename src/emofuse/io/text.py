"""Text files in whatever encoding they are met."""

from __future__ import annotations

import codecs
import unicodedata

_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "koi8_r"),
)
"""Encodings that are told apart, besides Unicode's."""


_AS_WELL = 0.02
"""Encodings whose texts look so little worse than the best one's fit as well."""


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    r"""Decode a text file by its byte order mark, as UTF-8, or as what it looks like.

    Line ends become ``\n``.

    Returns:
        The text, and the encodings that fit if it had to be guessed (by charset-normalizer):
        first the one that was taken, then those of which a text so short cannot tell it.

    >>> decode(b"hello\r\n")
    ('hello\n', ())
    >>> decode("Привет, как дела? Я очень рад тебя видеть.".encode("cp1251"))[1]
    ('cp1251',)

    Raises:
        UnicodeError: if the bytes are no text.
    """
    guessed: tuple[str, ...] = ()
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


def _guess(data: bytes) -> tuple[str, tuple[str, ...]]:
    from charset_normalizer import from_bytes

    found = list(from_bytes(data, cp_isolation=list(_ENCODINGS)))
    least = min((match.chaos for match in found), default=0.0)
    close = [m for m in found if m.chaos <= least + _AS_WELL]
    clear = max((m.coherence for m in close), default=0.0)  # how much it is like a language
    fit = [(m.encoding, str(m)) for m in close if m.coherence >= clear]
    fit.sort(key=lambda match: _mixes_scripts(match[1]))  # those alike stay in their order
    foreign = sum(byte > 127 for byte in data)
    if not fit or foreign < max(8, 0.15 * len(data)):
        # A few accents in a Latin text say little; Windows-1252 is the usual one. Five bytes
        # mean nothing there; Latin-1 gives them a code as well.
        fit.insert(0, ("cp1252", "".join(map(_windows_sign, data))))
    text = fit[0][1]
    others = [name for name, other in fit[1:] if other != text and not _mixes_scripts(other)]
    return text, (fit[0][0], *others)


def _mixes_scripts(text: str) -> bool:
    """Whether Chinese signs stand among signs of Korea or Japan as no text has them."""
    names = [unicodedata.name(sign, "").split(" ")[0] for sign in text if ord(sign) > 127]
    chinese, korean = names.count("CJK"), names.count("HANGUL")
    japanese = names.count("HIRAGANA") + names.count("KATAKANA")
    if korean:
        return chinese + japanese > 0.1 * korean
    return 0 < japanese < 0.15 * chinese or "HALFWIDTH" in names


def _windows_sign(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)
