"""Microphones, read through sounddevice (PortAudio)."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.media import AudioChunk, AudioInfo, MediaInfo, MediaKind, Packet
from ..core.time import NS, ns_to_samples
from ..errors import InputError, MissingExtra
from .device import RETRY_SECONDS, DeviceLost, Reconnecting

RATE = 16_000
"""Rate that is asked for: what voice and words models hear."""

BLOCK_SECONDS = 0.03
"""Audio that comes at once."""

QUIET_SECONDS = 1.5
"""A microphone that delivers nothing for this long is lost; silence is delivered too."""

JUMP_NS = NS // 10
"""Audio that is this far behind the clock has a gap: something was lost."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A microphone of this machine: its number and name, and whether it is the default one."""

    number: int
    name: str
    default: bool


def load_sounddevice() -> Any:
    """Import sounddevice.

    Raises:
        MissingExtra: if it is not installed.
        InputError: if the PortAudio library that it needs is missing.
    """
    try:
        import sounddevice
    except ImportError:
        raise MissingExtra("live", "the microphone") from None
    except OSError as error:  # its wheels for Linux come without PortAudio
        raise InputError(
            f"the microphone needs the PortAudio library, which cannot be loaded ({error}); "
            "install it, on Debian and Ubuntu with  apt install libportaudio2"
        ) from None
    return sounddevice


def list_microphones() -> list[InputDevice]:
    """Return the microphones of this machine.

    Raises:
        MissingExtra: if sounddevice is not installed.
        InputError: if PortAudio is missing.
    """
    sounddevice = load_sounddevice()
    default = sounddevice.default.device[0]
    return [
        InputDevice(number, device["name"], number == default)
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


class Microphone:
    """A microphone as a source: mono audio as it comes, counted in samples from time 0.

    A microphone that disappears is opened again when it is back; in between
    nothing comes but a `Diagnostic`, and the audio's index jumps.

    Args:
        device: its number or a part of its name; by default the system's choice.
        wait: a microphone that is not there now is looked for until it is.
        retry_seconds: how often a lost microphone is looked for.

    Raises:
        InputError: if there is no such microphone and it is not waited for, or PortAudio
            is missing.
        MissingExtra: if sounddevice is not installed.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        wait: bool = False,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._sounddevice = load_sounddevice()
        self._device = device
        self.origin_ns: int | None = None
        self._name = "microphone" if device is None else f"microphone {device}"
        self._rate = RATE
        with suppress(*(InputError,) if wait else ()):
            self._rate = self._choose_rate()
        self._reader = Reconnecting(self._name, "microphone", self._session, retry_seconds)
        self.info = MediaInfo(self._name, MediaKind.AUDIO, audio=AudioInfo(self._rate, 1, "pcm"))

    def packets(self) -> Iterator[Packet]:
        """Yield audio, and notes about a lost microphone, until `close`."""
        if self.origin_ns is None:
            self.origin_ns = time.monotonic_ns()
        return self._reader.packets()

    def close(self) -> None:
        """Release the microphone; harmless when called twice."""
        self._reader.stop()

    def _choose_rate(self) -> int:
        """Return 16 kHz if the device can, else its own rate."""
        sounddevice = self._sounddevice
        try:
            own = int(sounddevice.query_devices(self._device, "input")["default_samplerate"])
            with suppress(sounddevice.PortAudioError):
                sounddevice.check_input_settings(self._device, 1, "float32", samplerate=RATE)
                return RATE
            sounddevice.check_input_settings(self._device, 1, "float32", samplerate=own)
        except (sounddevice.PortAudioError, ValueError) as error:
            raise self._unusable(error) from None
        return own

    def _unusable(self, error: Exception) -> InputError:
        known = [f"{m.number} ({m.name})" for m in list_microphones()]
        here = f"there are {', '.join(known)}" if known else "this machine has none"
        return InputError(f"{self._name} cannot be opened: {here} ({error}); see `emofuse devices`")

    @contextmanager
    def _session(self) -> Iterator[Iterator[Packet]]:
        blocks: queue.Queue[tuple[Any, int]] = queue.Queue(maxsize=256)

        def take(samples: Any, frames: int, when: Any, status: Any) -> None:
            with suppress(queue.Full):  # a gap: the clock tells
                blocks.put_nowait((_sane(convert(samples[:, 0])), time.monotonic_ns()))

        sounddevice = self._sounddevice
        try:
            rate = self._choose_rate()
            convert = converter(rate, self._rate)
            stream = sounddevice.InputStream(
                samplerate=rate,
                blocksize=round(BLOCK_SECONDS * rate),
                device=self._device,
                channels=1,
                dtype="float32",
                latency="low",
                callback=take,
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            _look_again(sounddevice)
            raise self._unusable(error) from None
        except InputError:
            _look_again(sounddevice)
            raise
        try:
            yield self._chunks(blocks, stream)
        finally:
            stream.close()  # at once: what is unplugged would never finish

    def _chunks(self, blocks: queue.Queue[tuple[Any, int]], stream: Any) -> Iterator[AudioChunk]:
        assert self.origin_ns is not None
        counter = SampleCounter(self._rate, self.origin_ns)
        while True:
            try:
                samples, now_ns = blocks.get(timeout=QUIET_SECONDS)
            except queue.Empty:
                raise DeviceLost("it delivers no audio") from None
            if len(samples):
                yield AudioChunk(samples, self._rate, counter.place(len(samples), now_ns))
            if not stream.active and blocks.empty():
                raise DeviceLost("its stream has ended")


def _sane(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a copy in [-1, 1]: a driver's garbage must not reach the models."""
    clipped: NDArray[np.float32] = np.clip(np.nan_to_num(samples), -1.0, 1.0)
    return clipped


def converter(rate: int, wanted: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a stateful resampler of blocks of audio.

    The declared rate stays, whichever device is plugged in.
    """
    if rate == wanted:
        return lambda samples: samples
    import soxr

    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
    return lambda samples: stream.resample_chunk(np.ascontiguousarray(samples))


class SampleCounter:
    """Finds the index of the sample that a block of audio starts with.

    Blocks that follow each other are contiguous; only where the clock says that
    more than a tenth of a second is missing the count jumps ahead.

    Args:
        rate: in Hz.
        origin_ns: the monotonic clock at sample 0.
    """

    def __init__(self, rate: int, origin_ns: int) -> None:
        self._rate, self._origin_ns = rate, origin_ns
        self._next: int | None = None

    def place(self, count: int, now_ns: int) -> int:
        """Return the index of the first of `count` samples, the last of which was recorded now."""
        by_clock = max(0, ns_to_samples(max(0, now_ns - self._origin_ns), self._rate) - count)
        if self._next is None or by_clock - self._next > JUMP_NS * self._rate // NS:
            self._next = by_clock
        first, self._next = self._next, self._next + count
        return first


def _look_again(sounddevice: Any) -> None:
    """Make PortAudio look for devices anew: it lists them once."""
    with suppress(sounddevice.PortAudioError):
        sounddevice._terminate()
        sounddevice._initialize()
