"""What emofuse knows about a corpus: where it is from, and how its files become a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from ..core.estimates import Modality
from ..errors import InputError
from .manifest import Manifest, Split

CROP = "crop"
"""Flag of pictures that are cropped faces, in corpora that elsewhere are whole pictures."""


class Medium(str, Enum):
    """What kind of file a sample is; `AUDIO_VIDEO` is a film with sound, `VIDEO` one without."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    AUDIO_VIDEO = "audio-video"
    TEXT = "text"


class Access(str, Enum):
    """What it takes to get a corpus."""

    OPEN = "open to all"
    REGISTRATION = "registration"
    REQUEST = "on request"


@dataclass(frozen=True, slots=True)
class Download:
    """A file of a corpus that is open to everyone, with a published checksum.

    Args:
        url: its address.
        checksum: ``md5:…`` or ``sha256:…``.
        path: where it goes, relative to the corpus' folder.
        unpack: whether it is an archive (zip or tar) to be unpacked into that folder.
    """

    url: str
    checksum: str
    path: str
    unpack: bool = False

    def __post_init__(self) -> None:
        kind, _, digest = self.checksum.partition(":")
        if len(digest) != {"md5": 32, "sha256": 64}.get(kind):
            raise ValueError(f"expected md5:… or sha256:… in full, got {self.checksum!r}")


@dataclass(frozen=True, slots=True)
class Request:
    """What a recipe is asked to read.

    Args:
        root: the folder of the corpus (of the recipe `csv`: or the table).
        labelling: one of the recipe's labellings.
        medium: one of the recipe's media, or None for whichever is there.
        options: the recipe's own options by name.
    """

    root: Path
    labelling: str
    medium: Medium | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One corpus.

    Args:
        name: as in ``emofuse corpus prepare NAME``.
        title: one line of what it holds.
        modalities: what models it teaches.
        media: kinds of files it has, most usual first.
        labellings: name → taxonomy (`emofuse.corpora.labels`); the first is the
            default. Empty for recipes whose labels come from the user.
        licence: the terms of its makers, in a phrase.
        citation: of the publication that its makers ask for.
        home: its official page.
        layout: what its folder holds, told to who gives a wrong one.
        read: makes the manifest.
        access: what it takes to get the corpus, if it cannot be downloaded.
        obtain: what to clone or fetch, where `home` does not say it.
        options: name → what it is for.
        downloads: its files that are open to everyone and have a published checksum.
        remark: what else one should know before using it.
    """

    name: str
    title: str
    modalities: tuple[Modality, ...]
    media: tuple[Medium, ...]
    labellings: Mapping[str, str]
    licence: str
    citation: str
    home: str
    layout: str
    read: Callable[[Request], Manifest]
    access: Access = Access.REQUEST
    obtain: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        for name in ("name", "title", "modalities", "media", "licence", "layout"):
            if not getattr(self, name):
                raise ValueError(f"recipe {self.name!r} needs a {name}")
        for name in ("labellings", "options"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def load(
        self,
        root: Path,
        labelling: str | None = None,
        medium: Medium | str | None = None,
        **options: str,
    ) -> Manifest:
        """Read the corpus in a folder, in whichever of its layouts it is there.

        Args:
            root: its folder.
            labelling: which of `labellings`; default: the first.
            medium: which of `media`; default: the first that is there.
            options: see `options`.

        Returns:
            A manifest with at least one entry. The media may be missing or damaged;
            `emofuse.corpora.validate` looks at them.

        Raises:
            InputError: if the corpus is not there or is not as it should be, or the
                recipe knows no such labelling, medium or option.
        """
        if unknown := sorted(set(options) - set(self.options)):
            raise InputError(
                f"{self.name} has no option {unknown[0]!r}; it has {_list(self.options)}"
            )
        chosen = _choice(self, "labelling", labelling, tuple(self.labellings))
        kind = _choice(self, "medium", medium, tuple(m.value for m in self.media), None)
        request = Request(Path(root), chosen or "", Medium(kind) if kind else None, options)
        if not request.root.exists():
            raise InputError(f"there is no file or folder {str(root)!r}; {self.expected}")
        manifest = self.read(request)
        if not manifest.entries:
            raise InputError(f"nothing of {self.name} was found in {request.root}: {self.expected}")
        return manifest

    @property
    def expected(self) -> str:
        """What to do to have the corpus, as a clause."""
        way = f"or get it: {self.source}"
        if self.downloads:
            way = f"or fetch it: emofuse corpus prepare {self.name} --root DIR --download"
        return f"expected {self.layout}; give the folder that holds it" + (
            f", {way}" if self.home else ""
        )

    @property
    def source(self) -> str:
        """Where to get the corpus by hand."""
        return self.obtain or self.home

    def absent(self, root: Path) -> InputError:
        """Make the error for a folder that holds something else."""
        return InputError(f"no {self.name} in {root}: {self.expected}")


def speaker_folds(speakers: Iterable[str], count: int) -> dict[str, int]:
    """Deal speakers out to at most `count` folds, in the order of their names."""
    return {speaker: i % count for i, speaker in enumerate(sorted(set(speakers)))}


_SPLIT_WORDS = {
    Split.TRAIN: ("train", "training", "trainset"),
    Split.VALIDATION: ("val", "valid", "validation", "valset", "dev"),
    Split.TEST: ("test", "testing", "testset"),
}
_SPLIT_OF_WORD = {word: split for split, words in _SPLIT_WORDS.items() for word in words}


def named_split(path: Path, root: Path) -> Split | None:
    """Return the split that the folders between `root` and a file name, or None.

    ``root/GroupEmoW_Val/Negative/1.jpg`` is of the validation split; the innermost
    folder that names one decides.
    """
    for folder in reversed(path.relative_to(root).parts[:-1]):
        for word in re.split(r"[^a-z]+", folder.lower()):
            if word in _SPLIT_OF_WORD:
                return _SPLIT_OF_WORD[word]
    return None


def unknown_label(name: str, label: str, labels: tuple[str, ...], where: object) -> InputError:
    """Make the error for a label that the corpus' taxonomy does not have."""
    return InputError(f"{where}: {name} has no label {label!r}; it has {', '.join(labels)}")


def _choice(
    recipe: Recipe, what: str, given: str | None, known: tuple[str, ...], default: str | None = ""
) -> str | None:
    if given is None:
        return known[0] if default is not None and known else default
    if given not in known:
        raise InputError(f"{recipe.name} has no {what} {str(given)!r}; it has {_list(known)}")
    return Medium(given).value if what == "medium" else given


def _list(names: object) -> str:
    return ", ".join(names) or "none"  # type: ignore[arg-type]
