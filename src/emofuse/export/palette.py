"""One fixed colour per emotion, in every picture that emofuse draws.

The eight were searched for numerically: in Oklab, and as seen with protanopia,
deuteranopia and tritanopia (matrices of Machado et al. 2009), the two most
alike stay apart, and each stands out from a white and from a near-black page.
Colour is never the only carrier of meaning: labels are written out too.
"""

from __future__ import annotations

from collections.abc import Iterable

COLOURS = {
    "neutral": "#b4b2a8",
    "happy": "#f6b91c",
    "sad": "#4b59b6",
    "angry": "#df5a08",
    "fear": "#b37ad5",
    "disgust": "#12967a",
    "surprise": "#33cffb",
    "contempt": "#8a4526",
}

MOODS = {"positive": "#7f9f3f", "negative": "#e78fb0"}
"""A group's moods beside neutral: always alike, too, but not searched for."""

_SPARE = ("#7f9f3f", "#e78fb0", "#5b7f95", "#c9a97c", "#3f6f4f", "#a0566f", "#8f8fd0", "#6b6b6b")
"""For labels beyond the canonical ones, in turn; not as distinct as the eight."""


_FIXED = COLOURS | MOODS


def colours_of(labels: Iterable[str]) -> dict[str, str]:
    """Return a colour (``#rrggbb``) for every label; those of emotions and moods never change."""
    out: dict[str, str] = {}
    spare = 0
    for label in labels:
        if label in _FIXED:
            out[label] = _FIXED[label]
        elif label not in out:
            out[label] = _SPARE[spare % len(_SPARE)]
            spare += 1
    return out
