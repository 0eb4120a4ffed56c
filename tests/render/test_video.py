"""The annotated copy of a film, decoded again; the film stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from tests.export.synthetic import face, timeline

from emofuse.core.details import FaceDetails
from emofuse.core.estimates import Modality
from emofuse.core.media import MediaKind
from emofuse.core.timeline import Timeline
from emofuse.errors import InputError
from emofuse.render.overlay import Overlay
from emofuse.render.video import AnnotatedVideoExporter, write_annotated


def made_for(clip: Path, seconds: float = 3.0, **more: object) -> Timeline:
    made = timeline(seconds, people=1)
    return replace(made, media=replace(made.media, path=str(clip), **more))


def streams(path: Path) -> dict[str, tuple[str, float]]:
    with av.open(str(path)) as container:
        return {
            s.type: (s.codec_context.name, float(s.duration * s.time_base))
            for s in container.streams
            if s.type in ("video", "audio")
        }


def test_a_film_keeps_its_sound_and_its_times(media: Path, tmp_path: Path) -> None:
    clip, out = media / "talking.mp4", tmp_path / "annotated.mp4"
    before = clip.read_bytes()
    write_annotated(made_for(clip), out)
    assert clip.read_bytes() == before
    was, made = streams(clip), streams(out)
    assert made.keys() == was.keys() == {"video", "audio"}
    assert made["video"][0] in ("h264", "mpeg4")
    assert made["audio"][0] == was["audio"][0]
    for kind in made:
        assert made[kind][1] == pytest.approx(was[kind][1], abs=0.15)


def test_sound_without_a_picture_is_drawn_on_a_ground(media: Path, tmp_path: Path) -> None:
    clip, out = media / "speech.ogg", tmp_path / "annotated.mp4"
    alone = made_for(clip, 2.0, kind=MediaKind.AUDIO, video=None)
    write_annotated(alone, out)
    made = streams(out)
    assert made["video"][1] == pytest.approx(2, abs=0.2)
    assert made["audio"][1] == pytest.approx(streams(clip)["audio"][1], abs=0.15)


def test_what_cannot_be_copied_says_why(media: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes((media / "talking.mp4").read_bytes())
    with pytest.raises(InputError, match="is not there any more"):
        write_annotated(made_for(tmp_path / "gone.mp4"), tmp_path / "out.mp4")
    with pytest.raises(InputError, match="is no film"):
        write_annotated(made_for(clip, kind=MediaKind.IMAGE), tmp_path / "out.mp4")
    exporter = AnnotatedVideoExporter(clip, overwrite=True)
    exporter.write(made_for(clip))
    with pytest.raises(InputError, match="the medium itself"):
        exporter.close()
    assert clip.read_bytes() == (media / "talking.mp4").read_bytes()


def stripes() -> np.ndarray:
    image = np.zeros((180, 320, 3), np.uint8)
    image[:, ::2] = 255
    return image


def test_boxes_and_words_are_drawn_when_there_are_any() -> None:
    made = timeline(24, people=1)
    overlay, image = Overlay(made), np.full((180, 320, 3), 90, np.uint8)
    (here, *_) = made.of(Modality.FACE, face(1))
    left, top, width, height = here.find_details(FaceDetails).box
    drawn = overlay.draw(image, here.span.start_ns)
    x, y = round((left + width) * 320), round((top + height / 3) * 180)
    assert (drawn[y - 1 : y + 2, x - 2 : x + 3] != 90).any()
    assert (image == 90).all()
    nobody = overlay.draw(image, made.duration_ns + 5_000_000_000)
    assert (nobody[60:] == 90).all()  # only the note at the top


def test_blurred_faces_lose_their_detail_before_and_after_they_are_found() -> None:
    made = timeline(24, people=1).modality("face")
    faces = made.estimates
    left, top, width, height = faces[0].find_details(FaceDetails).box
    middle = np.s_[
        round((top + 0.3 * height) * 180) : round((top + 0.7 * height) * 180),
        round((left + 0.3 * width) * 320) : round((left + 0.7 * width) * 320),
    ]
    last = max(e.span.end_ns for e in faces if e.span.start < 12)
    for time_ns in (faces[0].span.start_ns, last + 900_000_000):
        blurred = Overlay(made, blur_faces=True).draw(stripes(), time_ns)[middle]
        assert blurred.std() < 20
        assert Overlay(made).draw(stripes(), time_ns)[middle].std() > 100
    gone = Overlay(made, blur_faces=True).draw(stripes(), last + 1_500_000_000)[middle]
    assert gone.std() > 100
