"""What every card in the zoo has to say."""

import math
import re

import pytest

from emofuse.models.card import Card
from emofuse.models.store import Licences, ModelLocation, Store, megabytes

PINNED = re.compile(r"/[0-9a-f]{40}/|zenodo.org/record/\d+/")
STORE = Store(folders=[])
CARDS = STORE.cards()
EMBEDDED_LIMIT = 48_000_000  # bytes of all embedded models together: the wheel stays small


def test_there_are_cards_and_they_stay_small() -> None:
    embedded = [card for card in CARDS if not card.downloads]
    assert embedded
    # Cards may share a graph: one head each.
    total = sum({f.name: f.bytes for card in embedded for f in card.files.values()}.values())
    assert total < EMBEDDED_LIMIT, megabytes(total)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
class TestCard:
    def test_names_its_licence_and_data(self, card: Card) -> None:
        assert card.licence not in ("", "unknown")
        assert card.summary
        assert card.data
        for corpus in card.data:
            assert corpus.name
            assert corpus.licence not in ("", "unknown")

    def test_measured_figures_can_be_measured_again(self, card: Card) -> None:
        assert card.metrics or card.downloads, "an embedded model says how good it is"
        for metric in card.metrics:
            assert metric.protocol
            published = card.downloads and "as published" in metric.protocol
            assert metric.command or published, "say how to measure it again"
            assert metric.corpus
            assert metric.split
            assert math.isfinite(metric.value)
            assert metric.seeds >= 1

    def test_files_are_pinned(self, card: Card) -> None:
        assert card.files or card.fusion, "only the weights of a pool stand in the card itself"
        for file in card.files.values():
            if file.url is None:
                assert file.bytes > 0
            else:
                assert file.url.startswith("https://")
                fixed = PINNED.search(file.url) or (file.sha256 and file.bytes)
                assert fixed, "a revision that nobody can move, or the content itself"
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256) or file.url

    def test_the_pinned_content_is_what_lies_here(self, card: Card) -> None:
        if STORE.location(card) is ModelLocation.REMOTE:
            assert card.downloads
        else:
            STORE.verify(card)

    def test_a_prior_is_a_distribution(self, card: Card) -> None:
        if card.prior is not None and not card.taxonomy.multi_label:
            assert sum(card.prior) == pytest.approx(1.0, abs=1e-2)
            assert min(card.prior) > 0

    def test_the_licence_filter_reads_the_licence(self, card: Card) -> None:
        assert Licences.ANY(card)
        assert Licences.COMMERCIAL(card) is not bool(
            re.search(r"\bNC\b|non-?commercial|research", card.licence, re.IGNORECASE)
        )


def test_embedded_graphs_do_not_tell_where_they_were_made() -> None:
    store = Store(offline=True)
    for card in store.cards():
        if not card.downloads and card.files:
            graph = store.files(card)["weights"].read_bytes()
            assert b"site-packages" not in graph, card.id
            assert b"stack_trace" not in graph, card.id
