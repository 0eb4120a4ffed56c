"""Play a clip to a running `emofuse serve` as if it were live, and print what comes back."""

import io
import sys
import time

import av

from emofuse.client import Client, Picture, Sound


def packets(path):
    """Yield a clip's pictures and sound (16-bit mono at 16 kHz), each when its time has come."""
    to_pcm = av.AudioResampler("s16", "mono", 16_000)
    started = time.monotonic()
    with av.open(path) as clip:
        for frame in clip.decode(*clip.streams.video[:1], *clip.streams.audio[:1]):
            time.sleep(max(0, started + frame.time - time.monotonic()))
            if isinstance(frame, av.VideoFrame):
                jpeg = io.BytesIO()
                frame.to_image().save(jpeg, "JPEG", quality=85)
                yield Picture(frame.time, jpeg.getvalue())
            else:
                for sound in to_pcm.resample(frame):
                    yield Sound(frame.time, sound.to_ndarray().tobytes())


client = Client(sys.argv[2] if sys.argv[2:] else "http://127.0.0.1:8000")
for message in client.live(packets(sys.argv[1])):
    if message["type"] != "measurement":
        print(message)
        continue
    for e in message["estimates"]:
        print(f"{e['start']:6.2f} s  {message['kind']:<12}{e['subject']:<10}{e['label']}")
