"""Play a clip to a running `emofuse serve` as if it were live, and print what comes back."""

import io
import json
import struct
import sys
import threading
import time

import av
from websockets.sync.client import connect


def packets(path):
    """Yield (kind, seconds, bytes) of a clip: JPEG frames and 16-bit mono audio at 16 kHz."""
    to_pcm = av.AudioResampler("s16", "mono", 16_000)
    with av.open(path) as clip:
        for frame in clip.decode(*clip.streams.video[:1], *clip.streams.audio[:1]):
            if isinstance(frame, av.VideoFrame):
                jpeg = io.BytesIO()
                frame.to_image().save(jpeg, "JPEG", quality=85)
                yield 1, frame.time, jpeg.getvalue()
            else:
                for sound in to_pcm.resample(frame):
                    yield 2, frame.time, sound.to_ndarray().tobytes()


def play(path, socket):
    """Send each packet when its time has come."""
    started = time.monotonic()
    for number, (kind, seconds, data) in enumerate(packets(path)):
        time.sleep(max(0, started + seconds - time.monotonic()))
        socket.send(struct.pack("<BBHIQ", kind, 1, 0, number, round(seconds * 1e6)) + data)
    socket.send(json.dumps({"type": "session.close"}))


with connect(sys.argv[2] if sys.argv[2:] else "ws://127.0.0.1:8000/v1/stream") as socket:
    print(socket.recv())  # session.created: the models are loaded
    threading.Thread(target=play, args=(sys.argv[1], socket), daemon=True).start()
    for message in map(json.loads, socket):
        if message["type"] != "measurement":
            print(message)
        for e in message.get("estimates", ()):
            print(f"{e['start']:6.2f} s  {message['kind']:<12}{e['subject']:<10}{e['label']}")
