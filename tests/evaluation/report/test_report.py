"""The report on figures that are made up, so that every corner of it is drawn."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from emofuse.errors import InputError, ModelError
from emofuse.evaluation.report import formatting as wording
from emofuse.evaluation.report import html as page
from emofuse.evaluation.report import markdown
from emofuse.evaluation.report.card_metrics import metric_rows, update_card
from emofuse.evaluation.report.model_report import document
from emofuse.evaluation.report.results import (
    ClassRow,
    CorpusFacts,
    CorruptedResult,
    Evaluation,
    Group,
    MetricValue,
    ModelFacts,
    Part,
    Provenance,
    Reliability,
    Subgroups,
)
from emofuse.models.card import read_card

LABELS = ("happy", "<b>sad</b>")


def part(name: str = "test, full", **changes: object) -> Part:
    figures = {
        "accuracy": MetricValue(0.684, 0.66, 0.709),
        "uar": MetricValue(0.5, None, None, 0.021),
        "macro_f1": MetricValue(0.61),
        "ece": MetricValue(0.0314, 0.02, 0.05),
        "ece_uncalibrated": MetricValue(0.0412),
    }
    bins = Reliability(1.1, (None, 0.9), (None, 0.8), (0, 10), 0.1)
    rows = (ClassRow(LABELS[0], 0.5, 0.25, 0.33, 8), ClassRow(LABELS[1], None, 0.0, None, 2))
    made = Part(name, "whole clips", 10, 3, LABELS, figures, rows, ((2, 6), (1, 1)), {"card": bins})
    return replace(made, **changes)  # type: ignore[arg-type]


def evaluation(*parts: Part, **changes: object) -> Evaluation:
    figures = {
        "accuracy": MetricValue(0.6, 0.5, 0.7),
        "uar": MetricValue(0.5),
        "ece": MetricValue(0.1),
    }
    groups = (Group("Female", 40, 6, figures), Group("Male", 40, 2, figures))
    made = Evaluation(
        modality="speech",
        protocol="test",
        models=(ModelFacts("m|1", "ab" * 32, LABELS, 1.1, "MIT"),),
        corpus=CorpusFacts("<script>alert(1)</script>", "mine", LABELS, 12, "0123456789abcdef"),
        parts=parts or (part(),),
        subgroups=(Subgroups("sex", groups, MetricValue(0.018, -0.1, 0.12), ("Female", "Male")),),
        robustness=(
            CorruptedResult("clean", "", figures),
            CorruptedResult("noise", "20 dB", figures),
            CorruptedResult("noise", "0 dB", figures),
        ),
        temperature_refit=None,
        excluded={"whose votes tie": 2},
        warnings=(),
        notes=("a *note* with | and <i>",),
        provenance=Provenance("emofuse evaluate m", "2030-01-02T03:04:05", "9", "abc", {"seed": 0}),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Tags(HTMLParser):
    """Checks that tags close in order, and collects the text."""

    VOID = frozenset({"meta", "line", "rect", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_well_formed_and_harmless() -> None:
    html = page.render(document(evaluation()))
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert not {"script", "i>", "link", "img", "iframe"} & tags.seen
    assert "<script>alert(1)</script>" in tags.text  # as text
    assert "<b>sad</b>" in tags.text
    for told in ("68.4 %", "66.0–70.9", "± 2.1", "0.031", "1.8 points (-10.0 to 12.0)",
                 "2 samples were excluded", "3 speakers are too few"):  # fmt: skip
        assert told in tags.text, told


def test_markdown_keeps_its_tables() -> None:
    text = markdown.render(document(evaluation()))
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 5
    for table in tables:
        columns = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(columns) == 1, table
    assert "<script>" not in re.sub(r"`[^`]*`", "", text)  # code is shown as it is
    assert "| clean | 60.0 % (50.0–70.0) |" in text


def test_folds_and_warnings_lead() -> None:
    folds = {"fold 0": {"accuracy": 0.6, "uar": 0.5, "macro_f1": 0.4, "ece": 0.1}}
    found = evaluation(part(folds=folds), warnings=("it has heard s1.",))
    html = page.render(document(found))
    assert html.index("Evaluated despite a leak") < html.index("Metrics")
    assert "fold 0" in html
    assert "## Folds" in markdown.render(document(found))


def test_json_holds_numbers_or_nothing() -> None:
    nan = float("nan")
    found = evaluation(
        part(metrics={"uar": MetricValue(nan, nan, nan), "accuracy": MetricValue(1.0)})
    )
    text = json.dumps(found.to_mapping(), allow_nan=False)
    assert json.loads(text)["parts"][0]["metrics"]["uar"]["value"] is None


def test_figures_as_people_read_them() -> None:
    assert wording.cell("uar", MetricValue(0.684, 0.66, 0.709)) == "68.4 % (66.0–70.9)"
    assert wording.cell("uar", MetricValue(0.7, 0.6, 0.8, 0.021)) == "70.0 % ± 2.1"
    assert wording.cell("ece", MetricValue(0.0314)) == "0.031"
    assert wording.cell("uar", MetricValue(float("nan"))) == "–"
    assert wording.title("nll_uncalibrated") == "NLL (uncalibrated)"


def test_rows_for_cards() -> None:
    flags = part("test", multi_label=True, metrics={"macro_f1": MetricValue(0.5)}, confusion=None)
    found = evaluation(flags, part("test, one label"))
    rows = {(m.split, m.name): m for m in metric_rows(found, seeds=3, command="again")}
    assert rows["test", "macro_f1"].value == 0.5
    assert rows["test", "accuracy_top"].value == 0.684
    assert rows["test", "macro_f1_top"].value == 0.61
    assert rows["test", "f1_happy"].value == 0.33
    assert rows["test, noise, 0 dB", "uar"].value == 0.5
    assert {m.seeds for m in rows.values()} == {3}
    assert {m.command for m in rows.values()} == {"again"}
    assert "3 speakers" in rows["test", "accuracy_top"].protocol
    assert "0.660 to 0.709" in rows["test", "accuracy_top"].protocol
    with pytest.raises(InputError, match="do not go into a card"):
        metric_rows(replace(found, warnings=("leak",)))


def test_a_card_keeps_everything_but_the_replaced_figures(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    head = (
        '# by hand\nid = "m"\nmodality = "speech"\nrecogniser = "speech"\nsummary = "…"\n'
        'labels = ["happy", "sad"]\nnotes = ["[odd]"]\n'
    )
    old = '[[metrics]]\ncorpus = "c"\nsplit = "s"\nname = "uar"\nvalue = 0.1\nprotocol = "p"\n'
    tail = '[files.weights]\nname = "x"\nsha256 = "0"\nbytes = 1\n'
    path.write_text(head + old + old.replace('"s"', '"t"') + tail)
    row = replace(read_card(path).metrics[0], value=0.25, protocol='with "quotes" and \\ and é')
    update_card(path, [row])
    card = read_card(path)
    assert {(m.split, m.value) for m in card.metrics} == {("s", 0.25), ("t", 0.1)}
    assert row in card.metrics
    assert path.read_text().startswith(head)
    assert list(tmp_path.iterdir()) == [path]
    path.write_text("no card")
    with pytest.raises(ModelError):
        update_card(path, [row])
    assert path.read_text() == "no card"
