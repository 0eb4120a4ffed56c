"""`emofuse keyframes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AsJson, Overwrite, Quiet, result

if TYPE_CHECKING:
    from ..group.keyframes import Keyframe


def keyframes(
    path: Annotated[Path, typer.Argument(metavar="VIDEO", show_default=False, help="The video.")],
    out: Annotated[
        Path | None,
        result(metavar="DIR", help="Folder for the frames (JPEG) and a table, keyframes.csv."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many frames.")] = 16,
    threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="Frames of a smaller score come last."),
    ] = 0.5,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="A model that was taught photos of groups; default: the embedded face model.",
        ),
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second to look at.")] = 8.0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Choose the frames of a video that show its mood, from all over it.

    Of each second the frame with the clearest mood is a candidate; of each of N equal parts of the
    video the candidate that differs most from the frame before it is taken.
    """
    from ..group.keyframes import find_keyframes
    from ..group.scores import make_scorer
    from ..io.files import OutputFolder
    from . import display as show

    if out is not None:
        OutputFolder(out, overwrite).claim("keyframes.csv")
    found = find_keyframes(path, make_scorer(model), count, threshold, fps)
    if out is not None:
        _write(found, out, overwrite)
    if as_json:
        show.stdout().print_json(data=[_mapping(k) for k in found])
    elif not quiet:
        show.stdout().print(show.keyframes(found))


def _mapping(keyframe: Keyframe) -> dict[str, Any]:
    mood = keyframe.mood
    return {
        "time": keyframe.at.start,
        "mood": mood and mood.label,
        "score": keyframe.score,
        "difference": keyframe.difference,
        "probabilities": mood and dict(mood.items()),
    }


def _write(found: tuple[Keyframe, ...], out: Path, overwrite: bool) -> None:
    import csv

    from ..export.thumbnails import encode_jpeg
    from ..io.atomic import write_atomic
    from ..io.files import ResultFile, refuse_existing

    names = [f"keyframe-{n:02d}.jpg" for n in range(1, len(found) + 1)]
    for name in names:
        refuse_existing(out / name, overwrite)
    for name, keyframe in zip(names, found, strict=True):
        write_atomic(out / name, encode_jpeg(keyframe.image, max(keyframe.image.shape[:2]), 90))
    with ResultFile(out / "keyframes.csv", overwrite=overwrite, newline="") as f:
        table = csv.writer(f)
        table.writerow(("file", "time", "mood", "score", "difference"))
        for name, k in zip(names, found, strict=True):
            mood = k.mood.label if k.mood else ""
            table.writerow(
                (name, f"{k.at.start:.3f}", mood, f"{k.score:.4f}", f"{k.difference:.4f}")
            )
