"""Microphones: the counting of samples; and the device itself where there is one."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.media import AudioChunk
from emofuse.core.time import NS
from emofuse.errors import EmofuseError, InputError, MissingExtra
from emofuse.sources.microphone import (
    Microphone,
    SampleCounter,
    converter,
    list_microphones,
    load_sounddevice,
)

RATE = 16_000
BLOCK = 480  # 30 ms


def test_blocks_are_contiguous_however_unevenly_they_come() -> None:
    counter = SampleCounter(RATE, origin_ns=1000)
    jitter_ms = (0, 25, -10, 60, 40, 5)
    came = [1000 + (i + 1) * 30_000_000 + ms * 1_000_000 for i, ms in enumerate(jitter_ms)]
    assert [counter.place(BLOCK, at) for at in came] == [i * BLOCK for i in range(6)]


def test_what_was_lost_is_a_gap() -> None:
    counter = SampleCounter(RATE, origin_ns=0)
    assert counter.place(BLOCK, 30_000_000) == 0
    assert counter.place(BLOCK, NS) == RATE - BLOCK  # 0.94 s are missing
    assert counter.place(BLOCK, NS + 30_000_000) == RATE


def test_it_starts_where_the_clock_says() -> None:
    assert SampleCounter(RATE, origin_ns=5 * NS).place(BLOCK, 7 * NS) == 2 * RATE - BLOCK
    assert SampleCounter(RATE, origin_ns=5 * NS).place(BLOCK, 5 * NS) == 0


def test_an_unknown_microphone_or_a_missing_library_is_an_error_that_helps() -> None:
    with pytest.raises((InputError, MissingExtra), match=r"emofuse devices|install"):
        Microphone("a microphone that nobody has")


ALSA = Path("/usr/share/alsa/alsa.conf")

VIRTUAL = """
<{alsa}>
pcm.!default {{ type null }}
ctl.!default {{ type null }}
pcm.tape {{
    type file slave.pcm null file "/dev/null" infile "{tape}" format "raw"
    hint {{ show on description "A tape" }}
}}
"""

LISTEN = """
import sys
import numpy as np
from emofuse.core.media import AudioChunk
from emofuse.sources.microphone import Microphone, list_microphones
assert "tape" in [m.name for m in list_microphones()]
source, heard = Microphone("tape"), []
for packet in source.packets():
    assert isinstance(packet, AudioChunk)
    heard.append(packet)
    if len(heard) == 20:
        source.close()
assert all(a.end == b.first for a, b in zip(heard, heard[1:]))
np.concatenate([c.samples for c in heard]).tofile(sys.argv[1])
"""


def test_a_virtual_microphone_is_heard_through_portaudio(tmp_path: Path) -> None:
    """ALSA plays a file as a microphone, but faster: its clock is not tested."""
    try:
        load_sounddevice()
    except EmofuseError as error:
        pytest.skip(f"no sound library: {error}")
    if not ALSA.is_file():
        pytest.skip("ALSA, which makes the virtual microphone, is not on this machine")
    tape, out = tmp_path / "tape.raw", tmp_path / "heard.raw"
    ramp = np.linspace(-1.5, 1.5, 48_000, dtype=np.float32)  # louder than allowed at its ends
    ramp.tofile(tape)
    config = tmp_path / "asound.conf"
    config.write_text(VIRTUAL.format(alsa=ALSA, tape=tape))
    env = {**os.environ, "ALSA_CONFIG_PATH": str(config)}
    done = subprocess.run(
        [sys.executable, "-c", LISTEN, str(out)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    heard = np.fromfile(out, np.float32)
    assert len(heard) == 20 * BLOCK
    np.testing.assert_allclose(np.diff(heard[8_000:]), np.diff(ramp)[0], rtol=0.01)
    assert heard.min() == -1.0


WAIT = """
import os, sys
from emofuse.core.media import Diagnostic
from emofuse.sources.microphone import Microphone
source, seen = Microphone("tape", wait=True, retry_seconds=0.01), []
for packet in source.packets():
    seen.append(packet.code if isinstance(packet, Diagnostic) else packet.rate)
    if len(seen) == 1:
        os.replace(sys.argv[1], os.environ["ALSA_CONFIG_PATH"])
    if len(seen) == 4:
        source.close()
print(*seen)
"""


def test_a_virtual_microphone_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    try:
        load_sounddevice()
    except EmofuseError as error:
        pytest.skip(f"no sound library: {error}")
    if not ALSA.is_file():
        pytest.skip("ALSA, which makes the virtual microphone, is not on this machine")
    tape = tmp_path / "tape.raw"
    np.zeros(48_000, np.float32).tofile(tape)
    without, with_it = tmp_path / "asound.conf", tmp_path / "later.conf"
    without.write_text(f"<{ALSA}>\n")
    with_it.write_text(VIRTUAL.format(alsa=ALSA, tape=tape))
    env = {**os.environ, "ALSA_CONFIG_PATH": str(without)}
    done = subprocess.run(
        [sys.executable, "-c", WAIT, str(with_it)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["microphone-missing", "microphone-back", "16000", "16000"]


def test_what_another_device_hears_is_delivered_at_the_declared_rate() -> None:
    tone = np.sin(np.arange(44_100) * 2 * np.pi * 440 / 44_100).astype(np.float32)
    convert = converter(44_100, RATE)
    heard = np.concatenate([convert(block) for block in np.array_split(tone, 33)])
    assert len(heard) == pytest.approx(RATE, abs=RATE * 0.03)  # the filter holds the rest
    assert np.argmax(np.abs(np.fft.rfft(heard))) * RATE / len(heard) == pytest.approx(440, abs=2)
    assert converter(RATE, RATE)(tone) is tone


def test_a_real_microphone_delivers_sound() -> None:
    try:
        known = list_microphones()
    except EmofuseError as error:
        pytest.skip(f"no microphone: {error}")
    if not known:
        pytest.skip("this machine has no microphone")
    source = Microphone()
    start = time.monotonic()
    heard = []
    for packet in source.packets():
        if isinstance(packet, AudioChunk):
            heard.append(packet)
        if len(heard) == 5 or time.monotonic() - start > 10:
            source.close()
    assert all(a.end == b.first for a, b in itertools.pairwise(heard))
    assert heard
