"""The figure: it shows what the timeline holds, in formats that other programs read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tests.export.synthetic import face, timeline

from emofuse.core.estimates import Modality, Rejected, RejectionReason
from emofuse.core.media import MediaKind
from emofuse.core.timeline import Timeline
from emofuse.errors import InputError
from emofuse.export.figure import columns, draw

pytest.importorskip("matplotlib")


def with_doubts(made: Timeline) -> Timeline:
    doubt = Rejected(RejectionReason.FACE_TOO_SMALL)
    return replace(
        made,
        estimates=tuple(
            replace(e, uncertain=doubt) if e.modality is Modality.FUSED and e.span.start < 3 else e
            for e in made
        ),
    )


def test_columns_are_the_estimates() -> None:
    mine = timeline(12).of(Modality.FUSED, face(1))
    labels = mine[0].probabilities.taxonomy.labels
    edges, p = columns(mine, labels, 0, 12)
    assert np.allclose(edges, np.arange(25) / 2)
    for e in mine:
        np.testing.assert_allclose(p[round(e.span.start * 2)], e.probabilities.values, atol=1e-6)
    assert np.isnan(p).all(axis=1).sum() == 24 - len(mine)
    assert np.allclose(np.nansum(p, axis=1)[~np.isnan(p).any(axis=1)], 1, atol=1e-5)


def test_long_films_are_drawn_as_means() -> None:
    mine = timeline(1500, people=1, lines=()).of(Modality.FUSED, face(1))
    edges, p = columns(mine, mine[0].probabilities.taxonomy.labels, 0, 1500)
    assert len(p) == 1000
    first = np.mean([e.probabilities.values for e in mine[:3]], axis=0)
    np.testing.assert_allclose(p[0], first, atol=1e-6)
    assert edges[-1] == 1500


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_other_programs_read_it(suffix: str, tmp_path: Path) -> None:
    made, path = with_doubts(timeline(8)), tmp_path / f"figure.{suffix}"
    odd = replace(made.media, name="a $x$ & <b>.mp4")
    replace(made, media=odd).save(path)
    if suffix == "png":
        image = Image.open(path)
        assert image.width == pytest.approx(7.2 * 300, abs=2)
    elif suffix == "pdf":
        assert path.read_bytes().startswith(b"%PDF")
    else:
        texts = " ".join(t.text or "" for t in ElementTree.parse(path).iter() if "text" in t.tag)
        assert "a $x$ & <b>.mp4" in texts
        assert "Expressions, not feelings" in texts
        assert {"result", "face", "uncertain", "happy"} <= set(re.findall(r"\w+", texts))


def test_people_and_times_can_be_chosen() -> None:
    made = timeline(12)
    figure = draw(made, people=["face-2"], start=4, end=9)
    stack, strips = figure.axes
    assert stack.get_title(loc="left").startswith("Face 2")
    assert stack.get_xlim() == (4, 9)
    assert strips.get_yticklabels()[0].get_text() == "result"
    with pytest.raises(InputError, match="no person 'Anna'"):
        draw(made, people=["Anna"])
    with pytest.raises(InputError, match="start before its end"):
        draw(made, start=5, end=5)


def test_who_is_not_drawn_is_told() -> None:
    figure = draw(timeline(8, people=9, lines=()))
    assert len(figure.axes) == 12
    (legend,) = figure.legends
    assert re.match(r"\d more not drawn", legend.get_title().get_text())


def test_pictures_and_nobody() -> None:
    made = timeline(2, people=1, lines=())
    still = replace(made, media=replace(made.media, kind=MediaKind.IMAGE), duration_ns=0)
    (axes,) = draw(still).axes
    assert [t.get_text() for t in axes.get_yticklabels()][:2] == ["neutral", "happy"]
    (empty,) = draw(replace(made, estimates=())).axes
    assert empty.texts[0].get_text() == "no face, voice or words found"
