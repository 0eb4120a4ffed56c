"""Reading what ``--input`` says, and asking for what neither it nor the file says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.modality import Modality
from ..errors import InputError
from ..speech.external import PARTS

Ask = Callable[[str, str, str], str | None]
"""Asks a user: question, examples of answers, and the option that answers it without asking.

None: there is nobody to ask.
"""

_SCALES: dict[str, dict[str, Any]] = {
    "unit": {"standard": "unit"},
    "signed": {"standard": "signed"},
    "raw": {"standard": "raw"},
    "imagenet": {"standard": "imagenet"},
    "self": {"standard": "self", "floor": 1e-3},
    "caffe": {
        "standard": "set",
        "colour": "bgr",
        "mean": [103.939 / 255, 116.779 / 255, 123.68 / 255],
        "deviation": [1 / 255],
    },
}
"""Scales of faces by name: 0 to 1, -1 to 1, 0 to 255, ImageNet's, each face's own, VGG's."""

_WORDS = {
    Modality.FACE: (
        "48x48, grey, rgb or bgr, nchw, nhwc or nhw, unit, signed, raw, imagenet, self or caffe, "
        "mean=M/M/M, deviation=D/D/D (of levels 0 to 1), margin=.1"
    ),
    Modality.SPEECH: (
        f"some of {', '.join(PARTS)}, rate=22050, seconds=3, window=2048, hop=512, mels=128, "
        "coefficients=40, deltas=1, frames=130, pooling=mean, padding=zeros or repeat, "
        "standard=none, clip or rows, mean=…, deviation=…, centred=false"
    ),
    Modality.TEXT: "max_tokens=128, spell_out=true",
}


def required(ask: Ask, question: str, examples: str, option: str) -> str:
    """Ask what must be known.

    Raises:
        InputError: if nobody can be asked; the message names the option.
    """
    answer = (ask(question, examples, option) or "").strip()
    if not answer:
        raise InputError(f"{question}? The file does not say: give {option}, as in {examples}")
    return answer


def read_input(text: str, modality: Modality) -> dict[str, Any]:
    """Read ``--input`` into the keys of a card's preparation.

    Raises:
        InputError: if a word is unknown.

    Example:
        >>> read_input("48x48,grey,unit", Modality.FACE)
        {'side': 48, 'colour': 'grey', 'standard': 'unit'}
        >>> read_input("mfcc,coefficients=13,pooling=mean", Modality.SPEECH)
        {'features': ['mfcc'], 'coefficients': 13, 'pooling': 'mean'}
    """
    out: dict[str, Any] = {}
    for word in (w.strip() for w in text.split(",")):
        if not word:
            continue
        key, equals, value = word.partition("=")
        found = {key: _value(value)} if equals else _bare(word.lower(), modality, out)
        if found is None:
            raise InputError(
                f"--input: got {word!r}, expected for {modality.value}: {_WORDS[modality]}"
            )
        out |= found
    if "mean" in out or "deviation" in out:
        out = {key: _listed(key, value) for key, value in out.items()}
        out.setdefault("standard", "set")
    return out


def _bare(word: str, modality: Modality, so_far: Mapping[str, Any]) -> dict[str, Any] | None:
    if modality is Modality.SPEECH:
        return {"features": [*so_far.get("features", ()), word]} if word in PARTS else None
    if modality is not Modality.FACE:
        return None
    if word in _SCALES:
        return dict(_SCALES[word])
    if word in ("grey", "gray", "rgb", "bgr"):
        return {"colour": "grey" if word == "gray" else word}
    if word in ("nchw", "nhwc", "nhw"):
        return {"layout": word}
    sizes = word.split("x")
    if all(s.isdigit() for s in sizes) and len(set(sizes)) == 1:
        return {"side": int(sizes[0])}
    return None


def _listed(key: str, value: Any) -> Any:
    if key not in ("mean", "deviation") or isinstance(value, list):
        return value
    return [float(part) for part in str(value).split("/")]


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
