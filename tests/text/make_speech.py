"""Makes `speech.flac`: two synthesised sentences (espeak-ng) with silence around them.

    python tests/text/make_speech.py

Needs espeak-ng on the PATH; the tests only need the file that it made.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

from emofuse.sources.audio import read_audio

SENTENCES = {"I am very happy today.": "120", "My mother is very angry.": "140"}
"""With their pace in words a minute: a speech recogniser understands few synthetic voices."""


def say(sentence: str, pace: str, folder: Path) -> np.ndarray:
    """Return one sentence, float32 at 16 kHz."""
    wav = folder / "say.wav"
    command = ["espeak-ng", "-v", "en-us+f3", "-s", pace, "-w", str(wav), sentence]
    subprocess.run(command, check=True)
    return read_audio(wav)


def main() -> None:
    """Write the file beside this script."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = [say(sentence, pace, Path(folder)) for sentence, pace in SENTENCES.items()]
    pause = np.zeros(12_000, np.float32)
    samples = np.concatenate([pause, spoken[0], pause, spoken[1], pause])
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    with av.open(str(Path(__file__).with_name("speech.flac")), "w") as out:
        stream = out.add_stream("flac", rate=16_000, layout="mono")
        stream.format = "s16"
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


if __name__ == "__main__":
    main()
