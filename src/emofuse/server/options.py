"""What a client may set about an analysis: of all settings those that are safe for strangers.

None is a path, none makes the server fetch anything, and none takes more than the limits allow.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..config.loader import Flag
from ..core.media import Channels
from ..core.modality import Modality, parse_weights
from ..engine.smooth import SmoothMethod
from ..errors import EmofuseError
from ..face.detectors import usable_detectors
from ..fusion.config import FUSERS, FusionConfig
from ..models.registry import emotion_models
from ..models.store import Store
from ..text.transcribe import AUTO, NONE, TRANSCRIBERS, transcriber_name
from .http.errors import ApiError

if TYPE_CHECKING:
    from ..analyzer import AnalyzerConfig


def _listed(value: Any) -> Any:
    """Read ``face,speech`` as forms have it; lists stay as they are."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()] or None


def _weighted(value: Any) -> Any:
    """Read ``face=.6,speech=.4``, or JSON in a form; what it does not name does not count."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, str):
        return {m.value: weight for m, weight in parse_weights(value).items()}
    return value


ModelId = Annotated[str, Field(pattern=r"^[\w.-]{1,80}$")]
Number = Annotated[str, Field(pattern=r"^([1-9]\d?|[A-Za-z]{2,8})$")]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class AnalysisOptions(BaseModel):
    """How something is to be analyzed; what is left out is as the server has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    modalities: Annotated[
        tuple[str, ...] | None,
        BeforeValidator(_listed),
        Field(description="what is analyzed: some of face, speech, text", examples=[["face"]]),
    ] = None
    asr: Annotated[
        str | None,
        Field(
            description="speech recognizer, used if there is no transcript: auto, none, or a name",
            max_length=40,
            examples=["auto", "none"],
        ),
    ] = None
    language: Annotated[
        str | None,
        Field(
            description="of the speech, for a recognizer that knows several: en, de …",
            pattern="^[a-z]{2,3}$",
        ),
    ] = None
    audio_track: Annotated[
        Number | None, Field(description="sound track to hear: its number, from 1, or its language")
    ] = None
    subtitle_track: Annotated[
        Number | None, Field(description="subtitle track to read, likewise")
    ] = None
    channels: Annotated[
        Channels | None, Field(description="mix them, or make each a speaker, as in calls")
    ] = None
    fps: Annotated[
        float | None, Field(description="pictures analyzed in a second", gt=0, le=30)
    ] = None
    slot: Annotated[
        float | None,
        Field(description="length of a slot of the fused timeline, in seconds", ge=0.1, le=60),
    ] = None
    detector: Annotated[str | None, Field(description="face detector", max_length=40)] = None
    face_model: Annotated[ModelId | None, Field(description="id of the model of faces")] = None
    speech_model: Annotated[ModelId | None, Field(description="id of the model of voices")] = None
    text_model: Annotated[ModelId | None, Field(description="id of the model of words")] = None
    fusion: Annotated[str | None, Field(description="how all is fused", max_length=40)] = None
    fuser: Annotated[
        ModelId | None, Field(description="id of a trained fuser of that strategy")
    ] = None
    weights: Annotated[
        dict[str, Weight] | None,
        BeforeValidator(_weighted),
        Field(
            description="how much each modality counts; those not named do not",
            examples=[{"face": 0.6, "speech": 0.4}],
        ),
    ] = None
    smoothing: Annotated[SmoothMethod | None, Field(description="along time")] = None
    identity: Annotated[bool | None, Field(description="whether to tell who is who")] = None
    group: Annotated[bool | None, Field(description="the mood of the group, too")] = None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> AnalysisOptions:
        """Read options, of a form (all are texts) or of JSON.

        Raises:
            ApiError: ``bad-argument``, with what was got and what was expected.
        """
        try:
            return cls.model_validate(
                {name: None if value == "" else value for name, value in values.items()}
            )
        except ValidationError as error:
            raise ApiError("bad-argument", _explained(error)) from None

    def over(self, config: AnalyzerConfig) -> AnalyzerConfig:
        """Return settings with these on top.

        Raises:
            ApiError: ``bad-argument`` if a name is unknown, or two options do not go together.
        """
        from ..analyzer import read_config

        try:
            made = read_config(None, dict(self._flags(config)), base=config)
        except EmofuseError as error:
            raise ApiError("bad-argument", str(error)) from None
        if made.group.enabled and made.channels is Channels.SPEAKERS:
            told = "channels are speakers, and group is asked for: leave one of them out"
            raise ApiError("bad-argument", told)
        return made

    def _flags(self, config: AnalyzerConfig) -> Iterator[tuple[str, Flag]]:
        given = self.model_dump(exclude_none=True, mode="json")
        if "modalities" in given:
            given["modalities"] = self._chosen(config)
        if "weights" in given:
            given["weights"] = dict.fromkeys(config.modalities, 0.0) | given["weights"]
        if "fusion" in given:  # what goes with the server's own strategy does not go with another
            yield "fusion.weights", Flag("weights", {})
            yield "fusion.model", Flag("fuser", None)
        yield from ((_KEYS[name], Flag(name, value)) for name, value in given.items())

    def _chosen(self, config: AnalyzerConfig) -> list[str]:
        names = self.modalities or ()
        known = {m.value for m in config.modalities}
        if not names or not set(names) <= known:
            wrong = next((name for name in names if name not in known), "nothing")
            raise ApiError(
                "bad-argument",
                f"unknown modality {wrong[:40]!r}, expected some of {', '.join(sorted(known))}",
            )
        return [m.value for m in config.modalities if m.value in names]


_KEYS = {
    "modalities": "modalities",
    "asr": "transcribe.engine",
    "language": "transcribe.language",
    "audio_track": "audio_track",
    "subtitle_track": "subtitle_track",
    "channels": "channels",
    "fps": "fps",
    "slot": "slot_seconds",
    "detector": "face.detector",
    "face_model": "models.face",
    "speech_model": "models.speech",
    "text_model": "models.text",
    "fusion": "fusion.strategy",
    "fuser": "fusion.model",
    "weights": "fusion.weights",
    "smoothing": "smoothing.method",
    "identity": "identity.enabled",
    "group": "group.enabled",
}
"""Option → the setting of an analysis that it stands for."""


class FusionChoice(BaseModel):
    """A way to fuse."""

    name: str
    weights: Annotated[
        dict[str, float] | None,
        Field(description="its own weights; null: it has learned them, and takes none"),
    ]
    fusers: Annotated[list[str], Field(description="ids of trained fusers, for `fuser`")]


class Choices(BaseModel):
    """What the options of an analysis may be on this server."""

    modalities: list[str]
    asr: list[str]
    detectors: list[str]
    models: Annotated[dict[str, list[str]], Field(description="modality → ids")]
    fusion: list[FusionChoice]
    smoothing: list[str]
    defaults: Annotated[AnalysisOptions, Field(description="what counts for options left out")]


def choices(config: AnalyzerConfig, store: Store) -> Choices:
    """Return what clients may choose from: what works here without a download."""
    return Choices(
        modalities=[m.value for m in config.modalities],
        asr=list(_transcribers(config)),
        detectors=list(usable_detectors(store)),
        models={m.value: _models(store, m) for m in config.modalities},
        fusion=list(_fusion(store)),
        smoothing=[method.value for method in SmoothMethod],
        defaults=_defaults(config),
    )


def check(made: AnalyzerConfig, config: AnalyzerConfig, store: Store) -> None:
    """Check that what a client chose works here; the operator's own settings are not judged.

    Raises:
        ApiError: ``bad-argument``, with what there is to choose from.
    """
    from ..analyzer import Analyzer

    if made.face.detector != config.face.detector:
        _expect("detector", made.face.detector, usable_detectors(store))
    if made.transcribe.engine != config.transcribe.engine:
        _expect("asr", made.transcribe.engine, _transcribers(config))
    for modality in made.modalities:
        if made.models[modality] != config.models[modality]:
            _expect(f"{modality.value}_model", made.models[modality], _models(store, modality))
    if (card := made.fusion.card) is not None and card != config.fusion.card:
        _expect("fuser", card, _fusers(store, made.fusion.strategy))
    if made.fusion != config.fusion or made.models != config.models:
        try:
            Analyzer(made, store).fuser_of(made.modalities)
        except EmofuseError as error:
            raise ApiError("bad-argument", f"fusion: {error}") from None


def _expect(name: str, got: str, known: Iterable[str]) -> None:
    known = tuple(known)
    if got not in known:
        there = f"expected one of: {', '.join(known)}" if known else "and this server has none"
        raise ApiError("bad-argument", f"{name}: got {got!r}, {there}")


def _models(store: Store, modality: Modality) -> list[str]:
    return [card.id for card in emotion_models(store, modality) if store.is_ready(card)]


def _fusers(store: Store, strategy: str) -> list[str]:
    cards = (card for card in store.cards() if card.fusion is not None)
    return [c.id for c in cards if c.fusion and c.fusion.strategy == strategy and store.is_ready(c)]


def _transcribers(config: AnalyzerConfig) -> Iterator[str]:
    yield from (AUTO, NONE)
    for name in TRANSCRIBERS:
        with contextlib.suppress(EmofuseError):  # it is not installed, or has no model here
            transcriber_name(replace(config.transcribe, engine=name))
            yield name


def _fusion(store: Store) -> Iterator[FusionChoice]:
    for name in FUSERS:
        with contextlib.suppress(EmofuseError):  # of a package that is broken
            fusers = _fusers(store, name)
            learned = FUSERS.load(name).learned
            weights = None if learned else _plain(FusionConfig(name).all_weights)
            if fusers or not learned:
                yield FusionChoice(name=name, weights=weights, fusers=fusers)


def _plain(weights: Mapping[Any, float]) -> dict[str, float]:
    return {str(modality): weight for modality, weight in weights.items()}


def _defaults(config: AnalyzerConfig) -> AnalysisOptions:
    fusion = config.fusion
    models = {f"{m.value}_model": config.models[m] for m in config.modalities}
    return AnalysisOptions.model_validate(
        {name: id for name, id in models.items() if name in AnalysisOptions.model_fields}
        | {
            "modalities": [m.value for m in config.modalities],
            "asr": config.transcribe.engine,
            "language": config.transcribe.language,
            "audio_track": config.audio_track,
            "subtitle_track": config.subtitle_track,
            "channels": config.channels,
            "fps": config.fps,
            "slot": config.slot_seconds,
            "detector": config.face.detector,
            "fusion": fusion.strategy,
            "fuser": fusion.model,
            "weights": None if fusion.learned else _plain(fusion.all_weights),
            "smoothing": config.smoothing.method,
            "identity": config.identity.enabled,
            "group": config.group.enabled,
        }
    )


_BETTER = {
    "Value error, ": "",
    "Input should be ": "",
    "greater": "a number greater",
    "less": "a number less",
    "String should match pattern": "a text like the pattern",
    "String should have": "a text of",
}
"""How pydantic's sentences begin, and how ours do; one after the other."""


def _explained(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "bool_parsing":
        return f"{name}: got {str(first['input'])[:40]!r}, expected yes or no"
    if first["type"] == "extra_forbidden":
        return f"unknown field {name[:40]!r}; expected {', '.join(AnalysisOptions.model_fields)}"
    expected = first["msg"]
    for start, better in _BETTER.items():
        if expected.startswith(start):
            expected = better + expected.removeprefix(start)
    if expected.startswith("got "):
        return f"{name}: {expected}"
    return f"{name}: got {str(first['input'])[:40]!r}, expected {expected}"
