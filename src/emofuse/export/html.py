"""The page that people look at: the timeline's viewer, offline.

Everything that comes from media (names, words) is data or escaped, and a content
security policy in the page itself forbids it to load anything but the medium
beside it and to run any script but the viewer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from ..core.estimates import Estimate
from ..core.media import Frame
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .thumbnails import HighlightThumbnails, Thumbnail, Thumbnails
from .viewdata import view_data
from .whole import WholeTimeline

SCRIPT, STYLE = "viewer.js", "viewer.css"
"""Names of the files that the pages of a batch share."""

_ALWAYS = "default-src 'none'; base-uri 'none'; form-action 'none'; "


class HtmlExporter(WholeTimeline):
    """Writes a timeline with `write_report`, with thumbnails of the frames it was given."""

    name = "html"
    suffix = ".html"
    content_type = "text/html; charset=utf-8"
    summary = "a page to look at; needs no network"

    def __init__(self, path: Path, *, overwrite: bool = False, shared: Path | None = None) -> None:
        super().__init__(path, overwrite=overwrite, shared=shared)
        self._thumbnails, self._moments = Thumbnails(), HighlightThumbnails()

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Keep the timeline, and small pictures of some frames."""
        super().write(item)
        self._thumbnails.write(item)
        self._moments.write(item)

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_report(
            timeline,
            self.path,
            self._thumbnails.thumbnails,
            moments=self._moments.thumbnails,
            overwrite=self.overwrite,
            shared=self.shared,
        )


def write_report(
    timeline: Timeline,
    path: Path | str,
    thumbnails: Sequence[Thumbnail] = (),
    *,
    moments: Sequence[Thumbnail] = (),
    overwrite: bool = False,
    shared: Path | None = None,
) -> None:
    """Write a timeline as an HTML page.

    Args:
        timeline: what to show; a minute of it takes about 100 kB beside the viewer's 100 kB.
        path: where the page goes. It plays the medium from where it lies now, if it is there.
        thumbnails: pictures of the medium (from `Thumbnails`), shown along the time axis
            and cut into portraits.
        moments: pictures of a group's most expressive moments (from `HighlightThumbnails`).
        overwrite: replace an existing page.
        shared: a folder that the viewer itself goes to, for pages that share it; default:
            the page holds it and stands alone.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    path = Path(path)
    folder = path.absolute().parent
    base = None if shared is None else _address(shared.absolute(), folder) + "/"
    if shared is not None:
        for name, text in ((SCRIPT, viewer_script()), (STYLE, viewer_style())):
            _share(shared / name, text)
    source = _source(timeline, folder)
    page = render_report(timeline, thumbnails, moments=moments, source=source, base=base)
    with ResultFile(path, overwrite=overwrite) as f:
        f.write(page)


def render_report(
    timeline: Timeline,
    thumbnails: Sequence[Thumbnail] = (),
    *,
    moments: Sequence[Thumbnail] = (),
    source: str | None = None,
    base: str | None = None,
) -> str:
    """Return the page of `write_report` as text.

    Args:
        timeline: what to show.
        thumbnails: pictures of the medium.
        moments: pictures of a group's most expressive moments.
        source: address of the medium, relative to the page.
        base: address of the folder with the viewer's files; default: they are in the page.
    """
    data = view_data(timeline, thumbnails, moments) | {"source": source}
    return _render(data, timeline.provenance.version, base)


def annotate_report(
    timeline: Timeline,
    path: Path | str,
    edits: Sequence[Mapping[str, Any]],
    *,
    page: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write a page that holds edits by hand, which it shows and lets people go on with.

    Args:
        timeline: as it was found.
        path: where the page goes.
        edits: as plain types (`emofuse.annotations.edits`).
        page: an earlier page of the same result, whose pictures are kept.
        overwrite: replace an existing page.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    path = Path(path)
    data = _page_data(page)
    if data.get("digest") != timeline.digest():
        data = view_data(timeline)
    data |= {"source": _source(timeline, path.absolute().parent), "edits": list(edits)}
    with ResultFile(path, overwrite=overwrite) as f:
        f.write(_render(data, timeline.provenance.version, None))


def _page_data(page: Path | None) -> dict[str, Any]:
    """Return what a page holds; nothing where there is none, or it is another page."""
    try:
        text = page.read_text(encoding="utf-8") if page is not None else ""
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
        data = json.loads(found[1]) if found else {}
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _render(data: Mapping[str, Any], version: str, base: str | None) -> str:
    head, script, allowed = _inline() if base is None else _linked(base)
    policy = f"script-src {allowed[0]}; style-src {allowed[1]}; img-src data: blob: {_BESIDE}; "
    body = f'<main id="viewer"></main>\n{_WITHOUT_SCRIPTS}\n{_data_block(data)}\n{script}'
    return _page(
        f"{data['media']['name']} – emofuse",
        body,
        head=head,
        policy=policy + f"media-src blob: {_BESIDE}",
        version=version,
    )


_BESIDE = "'self' file:"
"""Sources beside the page: browsers do not take files for each other's `'self'`."""

_WITHOUT_SCRIPTS = (
    '<noscript><p class="note">This page needs JavaScript. The tables beside it hold the same '
    "results.</p></noscript>"
)


def _inline() -> tuple[str, str, tuple[str, str]]:
    script = viewer_script()
    allowed = _digest(script), "'unsafe-inline'"
    return f"<style>{viewer_style()}</style>", f"<script>{script}</script>", allowed


def _linked(base: str) -> tuple[str, str, tuple[str, str]]:
    base = escape(base)
    allowed = _BESIDE, f"{_BESIDE} 'unsafe-inline'"
    style = f'<link rel="stylesheet" href="{base}{STYLE}">'
    return style, f'<script src="{base}{SCRIPT}"></script>', allowed


def _share(path: Path, text: str) -> None:
    """Write a file that all pages of a batch use; another emofuse's is brought up to date."""
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
        with ResultFile(path, overwrite=True) as f:
            f.write(text)


def _source(timeline: Timeline, folder: Path) -> str | None:
    """Return where the medium lies as seen from the page, if it is a file."""
    if timeline.media.path is None or not Path(timeline.media.path).is_file():
        return None
    return _address(Path(timeline.media.path).absolute(), folder)


def _address(target: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(target, folder)).as_posix(), errors="replace")


# ------------------------------------------------------------------ the viewer


def viewer_script() -> str:
    """Return the viewer as one script: pages opened as files may not import modules."""
    modules: dict[str, str] = {}
    _collect("page.js", modules)
    return '(() => {\n"use strict";\n' + "\n".join(modules.values()) + "\n})();\n"


def _collect(name: str, into: dict[str, str]) -> None:
    """Add a module without its imports and exports, after those that it imports."""
    text = viewer_file(name)
    for other in re.findall(r'^import [^;]*? from "\./([\w.]+)";$', text, re.M):
        if other not in into:
            _collect(other, into)
    text = re.sub(r"^import [^;]*?;\n", "", text, flags=re.M)
    into[name] = re.sub(r"^export ", "", text, flags=re.M)


def viewer_style() -> str:
    """Return the viewer's style sheet."""
    return viewer_file("viewer.css")


def viewer_file(name: str) -> str:
    """Return the text of one of the viewer's files."""
    return (files(__package__) / "viewer" / name).read_text(encoding="utf-8")


def _data_block(data: Mapping[str, Any]) -> str:
    """Write data where no script runs; "<" cannot end the block early when it is escaped."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="data">{text}</script>'


# ------------------------------------------------------------------ the shell


HONEST = (
    '<p class="honest"><strong>Expressions, not feelings.</strong> A program judges what a face, '
    "a voice and words look and sound like. It is often wrong, and what somebody truly feels it "
    "cannot know. Do not base decisions about people on it.</p>"
)
"""What every page with results says first."""


def document(title: str, body: str, *, style: str = "", script: str = "", version: str = "") -> str:
    """Return a page to read, in the viewer's style.

    Args:
        title: plain text.
        body: HTML.
        style: more CSS.
        script: the one script that the page may run, if any.
        version: of emofuse.
    """
    sheets = viewer_style() + viewer_file("document.css") + style
    policy = "style-src 'unsafe-inline'; img-src data:"
    if script:
        policy += f"; script-src {_digest(script)}"
        body += f"\n<script>{script}</script>"
    return _page(
        title,
        f"<main>\n{body}\n</main>",
        head=f"<style>{sheets}</style>",
        policy=policy,
        version=version,
    )


def _digest(script: str) -> str:
    """Name a script by its content, for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _page(title: str, body: str, *, head: str, policy: str, version: str) -> str:
    return Template(viewer_file("page.html")).substitute(
        policy=_ALWAYS + policy,
        version=escape(version),
        title=escape(title),
        head=head,
        body=body,
    )
