"""Timelines for ELAN: a tier for each person's result, modalities and words.

The EAF format 3.0 of the Max Planck Institute for Psycholinguistics
(https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf).
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

from ..core.timeline import Timeline
from ..io.files import ResultFile
from ..io.media_types import by_suffix
from .runs import tiers_of
from .whole import WholeTimeline

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


class ElanExporter(WholeTimeline):
    """Writes a timeline with `write_elan`."""

    name = "elan"
    suffix = ".eaf"
    content_type = "application/xml"
    summary = "tiers for ELAN, linked to the medium"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_elan(timeline, self.path, overwrite=self.overwrite)


def write_elan(timeline: Timeline, path: Path | str, *, overwrite: bool = False) -> None:
    """Write an ELAN file; times are rounded to milliseconds.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"emofuse {timeline.provenance.version}",
            "DATE": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(
        root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    )
    _link(header, timeline)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    slots = 0
    for tier in tiers_of(timeline):
        element = ElementTree.SubElement(
            root,
            "TIER",
            {"TIER_ID": tier.name, "PARTICIPANT": tier.person, "LINGUISTIC_TYPE_REF": "emofuse"},
        )
        for span, label in tier.intervals:
            for time_ns in (span.start_ns, span.end_ns):
                slots += 1
                value = str(round(time_ns / 1_000_000))
                ElementTree.SubElement(
                    order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{slots}", "TIME_VALUE": value}
                )
            annotation = ElementTree.SubElement(
                ElementTree.SubElement(element, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {
                    "ANNOTATION_ID": f"a{slots // 2}",
                    "TIME_SLOT_REF1": f"ts{slots - 1}",
                    "TIME_SLOT_REF2": f"ts{slots}",
                },
            )
            ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = _legal(label)
    ElementTree.SubElement(
        root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": "emofuse", "TIME_ALIGNABLE": "true"}
    )
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=False)
    with ResultFile(Path(path), overwrite=overwrite) as f:
        f.write('<?xml version="1.0" encoding="UTF-8"?>\n' + text + "\n")


def _link(header: ElementTree.Element, timeline: Timeline) -> None:
    """Link the medium, so that ELAN opens it."""
    path = timeline.media.path
    if path is None or not Path(path).is_file():
        return
    known = by_suffix(path)
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {
            "MEDIA_URL": Path(path).absolute().as_uri(),
            "MIME_TYPE": known.mime if known else "unknown",
        },
    )


def _legal(text: str) -> str:
    """Leave out the control characters that XML cannot hold."""
    return "".join(c for c in text if c >= " " or c in "\t\n")
