import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emofuse.core.protocols import Recogniser
from emofuse.errors import ModelError
from emofuse.models import registry
from emofuse.models.store import Store

CardMaker = Callable[..., Path]

THIRD_PARTY = """
import numpy as np
from emofuse.core.estimates import Prediction, Probabilities

class Coin:
    def __init__(self, card, files, threads):
        self.card, self.files, self.threads = card, files, threads
        self.model_id, self.taxonomy, self.embedding = card.id, card.taxonomy, None
    def prepare(self, sample):
        return np.asarray(sample, np.float32)
    def infer(self, batch):
        return [Prediction(Probabilities(self.taxonomy, np.array([0.5, 0.5]))) for _ in batch]
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with entry points, as pip would leave it on the path."""
    site = tmp_path / "site"
    info = site / "coins-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[emofuse.recognisers]\ncoin = emofuse_test_coins:Coin\nbroken = emofuse_test_coins:Nope\n"
    )
    (site / "emofuse_test_coins.py").write_text(THIRD_PARTY)
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.usefixtures("third_party")
def test_a_third_party_recogniser_is_loaded_by_its_card(
    content: bytes, make_card: CardMaker
) -> None:
    folder = make_card("my-coin", recogniser="coin")
    (folder / "my-coin.bin").write_bytes(content)
    coin = registry.load("my-coin", Store(folders=[folder]), threads=2)
    assert isinstance(coin, Recogniser)
    assert coin.model_id == "my-coin"
    assert coin.threads == 2
    assert coin.files["weights"].read_bytes() == content
    (answer,) = coin.infer([coin.prepare(0)])
    assert answer.probabilities.taxonomy.labels == ("neutral", "happy")


@pytest.mark.usefixtures("third_party")
def test_a_broken_recogniser_is_named(content: bytes, make_card: CardMaker) -> None:
    folder = make_card(recogniser="broken")
    (folder / "tiny.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"'broken' .*\(emofuse_test_coins:Nope\)"):
        registry.load("tiny", Store(folders=[folder]))


def test_an_unknown_recogniser_is_named_before_anything_is_downloaded(
    make_card: CardMaker,
) -> None:
    folder = make_card(recogniser="telepathy", url="http://127.0.0.1:9/never")
    with pytest.raises(ModelError, match=r"'telepathy', which no installed.*face.*speech.*text"):
        registry.load("tiny", Store(folders=[folder]))


def test_the_built_in_recognisers_are_registered_like_others() -> None:
    assert {"face", "speech", "text"} <= set(registry.RECOGNISERS)


def test_listing_cards_imports_no_runtime(make_card: CardMaker) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from emofuse.models import registry\n"
        "from emofuse.models.store import Store\n"
        "store = Store(folders=[Path(sys.argv[1])])\n"
        "assert 'tiny' in [card.id for card in store.cards()]\n"
        "[store.location(card) for card in store.cards()]\n"
        "registry.RECOGNISERS.names\n"
        "heavy = {'onnxruntime', 'cv2', 'torch', 'av', 'pandas', 'requests', 'scipy'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(make_card())], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
