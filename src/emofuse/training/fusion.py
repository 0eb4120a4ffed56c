"""Trains fusers on what recognisers said of samples that they have not learnt from.

Scores on training samples are too sure to learn fusing from, so everything here is made
of the *validation* readings of each corpus (`evaluation.readings`), paired by label
(`evaluation.pairs`). Of these one part is learnt from; the other, of other people, chooses
the epoch and the temperature and gives the card's figures.

What a pairing cannot say is not taught: a label that one of its corpora lacks (CREMA-D
has no surprise) is left out of that pair's loss. So that any modality may be missing or
bad, modalities are dropped at random, and some are replaced by those of other samples
with a poor quality.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from ..analyzer import ModelsConfig
from ..core.estimates import Modality
from ..core.labels import CANONICAL
from ..corpora import recipes
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.pairs import Pairs, by_label, shared_labels
from ..evaluation.readings import CORPORA, Readings, collect, load
from ..fusion.config import PARTS, TELLING, Strategy
from ..fusion.fit import Experts, fit
from ..fusion.learned import GraphFuser, Layout
from ..models.calibrate import fit_temperature
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from ..models.registry import load as load_recogniser
from ..models.store import Store
from .build import plain
from .checkpoint import save_text, told
from .export import Answering, write_card, write_onnx
from .nets.fusion import NETS, FusionNet, Sizes

Floats = NDArray[np.float32]
Tell = Callable[[str], object]

_GOLDENS = 6
_INPUTS = ("evidence", "embeddings", "quality", "mask")


@dataclass(frozen=True, slots=True)
class FusionTraining:
    """Settings of a fuser's training.

    Args:
        strategy: what is trained; the pools (weighted, confidence, logpool) are fitted.
        id: of the card; "" for ``fusion-STRATEGY-v1``.
        readings: folder of readings (Parquet), made by the same pipeline as analyses.
        data: folder of the corpora, for readings that are not there yet; None: none are
            made.
        run: folder of the run; the finished model is in ``RUN/model``.
        modalities: what is fused.
        models: the recognisers.
        seed: of everything random.
        epochs: passes over the pairs; the best one by log loss is kept.
        batch: pairs a step.
        lr: highest learning rate.
        weight_decay: of AdamW.
        width: of a modality's token in the net.
        dropout: of tokens.
        drop: share of pairs of which modalities are dropped.
        spoil: share of modalities that are replaced by a stranger's of poor quality.
        held_out: share of people, or samples, that choose instead of being learnt from.
        threads: CPU threads.
        notes: for the card.

    Raises:
        InputError: if a value makes no sense.
    """

    strategy: Strategy = Strategy.ATTENTION
    id: str = ""
    readings: Path = Path("data/readings")
    data: Path | None = None
    run: Path = Path("runs/fusion")
    modalities: tuple[Modality, ...] = PARTS
    models: ModelsConfig = field(default_factory=ModelsConfig)
    seed: int = 1
    epochs: int = 12
    batch: int = 256
    lr: float = 2e-3
    weight_decay: float = 0.02
    width: int = 32
    dropout: float = 0.2
    drop: float = 0.5
    spoil: float = 0.1
    held_out: float = 0.3
    threads: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.modalities) & set(PARTS)) < 2 or Modality.FUSED in self.modalities:
            raise InputError("modalities: fusing takes two or three of face, speech and words")
        for name in ("epochs", "batch", "lr", "threads", "held_out"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("dropout", "drop", "spoil", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """Id of the card."""
        return self.id or f"fusion-{self.strategy.value}-v1"


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Pairs as a net's inputs.

    Args:
        inputs: by name, float32, first axis: pairs (see `fusion.learned.Layout`).
        actual: number of the right canonical label, (pairs,).
        asked: 1 for labels that the pair's corpora know, float32 (pairs, labels).
    """

    inputs: Mapping[str, Floats]
    actual: NDArray[np.int64]
    asked: Floats

    def __len__(self) -> int:
        return len(self.actual)

    def where(self, rows: NDArray[Any]) -> Moments:
        """Return some pairs."""
        inputs = {name: x[rows] for name, x in self.inputs.items()}
        return Moments(inputs, self.actual[rows], self.asked[rows])

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """Return all pairs of several."""
        inputs = {
            name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].inputs
        }
        actual = np.concatenate([part.actual for part in parts])
        return Moments(inputs, actual, np.concatenate([part.asked for part in parts]))


def train(
    config: FusionTraining, tell: Tell = lambda text: None, store: Store | None = None
) -> Path:
    """Train a fuser and write its folder ``RUN/model``, which the store then accepts.

    Args:
        config: what is trained, on what.
        tell: is given a line an epoch.
        store: where the recognisers' cards are; default: `Store()`.

    Returns:
        The card's path.

    Raises:
        InputError: if readings are missing.
        ModelError: if a recogniser is, or the exported net answers otherwise.
    """
    torch.set_num_threads(config.threads)
    store = store or Store()
    cards = {m: store.card(getattr(config.models, m.value)) for m in config.modalities}
    material = _Material.of(config, cards, store)
    folder = config.run / "model"
    with told(f"what was in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
        save_text(text, config.run / "config.yaml")
        ship = _ship_net if config.strategy.learned else _ship_pool
        return ship(config, material, folder, tell)


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """What is learnt from: readings by modality, and pairs of them."""

    cards: Mapping[Modality, Card]
    readings: Mapping[Modality, Sequence[Readings]]
    layout: Layout
    learn: Moments
    choose: Moments

    @classmethod
    def of(cls, config: FusionTraining, cards: Mapping[Modality, Card], store: Store) -> _Material:
        readings = _readings(config, cards, store)
        modalities = tuple(m for m in PARTS if m in cards)
        taken = [cards[m].embedding if config.strategy.learned else None for m in modalities]
        layout = Layout(modalities, tuple(width or 0 for width in taken))
        priors = {c.id: c.prior for c in cards.values() if c.prior is not None}
        rng = np.random.default_rng(config.seed)
        learn, choose = {}, {}
        for modality, found in readings.items():
            kept = [_split(r, config.held_out, rng) for r in found]
            learn[modality] = [a for a, _ in kept]
            choose[modality] = [b for _, b in kept]
        first, second = (
            Moments.joined([_moments(p, layout, priors) for p in _pairings(x, config.seed)])
            for x in (learn, choose)
        )
        return cls(cards, readings, layout, first, second)

    def fusion(self, config: FusionTraining, **more: Any) -> dict[str, Any]:
        """Return the card's table ``[fusion]``."""
        widths = dict(zip(self.layout.modalities, self.layout.widths, strict=True))
        parts = {
            m.value: {
                "id": card.id,
                "sha256": card.files["weights"].sha256,
                "embedding": widths[m] or None,
            }
            for m, card in self.cards.items()
        }
        return {"strategy": config.strategy.value, **more, "parts": parts}


def _readings(
    config: FusionTraining, cards: Mapping[Modality, Card], store: Store
) -> dict[Modality, list[Readings]]:
    """Return the validation readings of the configured models, making what `data` allows."""
    if config.data is not None:
        loaded = {m: load_recogniser(c.id, store, config.threads) for m, c in cards.items()}
        models = {m: r for m, r in loaded.items() if isinstance(r, OnnxRecogniser)}
        everything = list(collect(config.data, models, config.readings)[0].values())
    else:
        everything = [load(path) for path in sorted(config.readings.glob("*.parquet"))]
    out: dict[Modality, list[Readings]] = {}
    for modality, card in cards.items():
        sha256 = card.files["weights"].sha256
        of_model = [r for r in everything if (r.model_id, r.sha256) == (card.id, sha256)]
        kept = [r.of("validation") for r in of_model if not r.condition]
        out[modality] = [r.where(np.array([bool(x) for x in r.labels])) for r in kept if len(r)]
        if not out[modality]:
            corpora = ", ".join(c for c in CORPORA if recipes.recipe(c).modalities[0] is modality)
            there = ", ".join(sorted({r.model_id for r in everything if r.modality is modality}))
            raise InputError(
                f"{config.readings} has no validation readings of {card.id!r} ({sha256[:12]}…); "
                f"readings for {modality.value} there are of: {there or 'none'}. Give --data, the "
                f"folder of {corpora}, to make them"
            )
    return out


def _split(
    readings: Readings, held_out: float, rng: np.random.Generator
) -> tuple[Readings, Readings]:
    """Split by people, or by sample where the corpus does not name them."""
    who = [s or i for s, i in zip(readings.speakers, readings.ids, strict=True)]
    names = sorted(set(who))
    away = set(rng.permutation(names)[: max(1, round(held_out * len(names)))].tolist())
    out = np.array([w in away for w in who])
    return readings.where(~out), readings.where(out)


def _pairings(parts: Mapping[Modality, Sequence[Readings]], seed: int) -> Iterator[Pairs]:
    """Pair all modalities; then fewer, where these know labels that all together do not."""
    covered: set[str] = set()
    for size in range(len(parts), 1, -1):
        new: set[str] = set()
        for some in itertools.combinations(parts, size):
            for group in itertools.product(*(parts[m] for m in some)):
                labels = shared_labels(*group)
                if labels and set(labels) - covered:
                    yield by_label(*group, labels=labels, seed=seed)
                    new |= set(labels)
        covered |= new


def _moments(pairs: Pairs, layout: Layout, priors: Mapping[str, Sequence[float]]) -> Moments:
    number = np.array([CANONICAL.index(label) for label in pairs.labels])
    made, actual = [], []
    for i in range(len(pairs)):
        evidence = pairs.evidence(i)
        if evidence:
            made.append(layout.moment(evidence, priors))
            actual.append(number[pairs.actual[i]])
    asked = np.zeros((len(made), len(CANONICAL)), np.float32)
    asked[:, number] = 1
    inputs = {name: np.stack([m[name] for m in made]) for name in layout.shapes}
    return Moments(inputs, np.array(actual), asked)


def subsets(modalities: Sequence[Modality]) -> list[tuple[Modality, ...]]:
    """Return all non-empty subsets, the largest first."""
    sizes = range(len(modalities), 0, -1)
    return [s for n in sizes for s in itertools.combinations(modalities, n)]


def only(moments: Moments, layout: Layout, some: Sequence[Modality]) -> Moments:
    """Return the pairs with these modalities alone; those that then have nothing are left out."""
    keep = np.array([float(m in some) for m in layout.modalities], np.float32)
    found = _masked(moments, layout, np.tile(keep, (len(moments), 1)))
    return found.where(found.inputs["mask"].any(axis=1))


def _masked(moments: Moments, layout: Layout, keep: Floats) -> Moments:
    wide = np.repeat(keep, layout.widths, axis=1) if any(layout.widths) else 1.0
    inputs = {
        "evidence": moments.inputs["evidence"] * keep[:, :, None],
        "embeddings": moments.inputs["embeddings"] * wide,
        "quality": moments.inputs["quality"] * keep,
        "mask": moments.inputs["mask"] * keep,
    }
    return replace(moments, inputs=inputs)


# --- nets ------------------------------------------------------------------------------------


class _Shipped(Answering):
    """A net as it is exported, with logits and shares."""

    @property
    def outputs(self) -> list[str]:
        """Names of what it gives."""
        return ["logits", "shares"]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return logits and shares."""
        logits, shares = self.net(*inputs)
        return logits, shares


def _ship_net(config: FusionTraining, material: _Material, folder: Path, tell: Tell) -> Path:
    net, slots = _fit_net(config, material, tell)
    rng = np.random.default_rng(config.seed + 1)
    spots = sequences(material.choose, slots, rng)
    logits, _ = _answer(net, material.choose, spots)
    target = np.eye(len(CANONICAL))[material.choose.actual]
    calibration = fit_temperature(target, _only_asked(logits, material.choose))
    path = folder / f"{config.name}.onnx"
    example = tuple(_batch(material.choose, spots[:2]).values())
    write_onnx(_Shipped(net), example, path)

    def probabilities(moments: Moments) -> Floats:
        steps = sequences(moments, slots, np.random.default_rng(config.seed + 1))
        z, _ = _answer(net, moments, steps)
        return calibration.probabilities(_only_asked(z, moments))

    fields = {
        **_fields(config, material, probabilities),
        "calibration": {"temperature": round(calibration.temperature, 4)},
        "fusion": material.fusion(config, slots=slots),
    }
    card = write_card(fields, folder, {"weights": path})
    _write_golden(card, path, material, spots, folder)
    return folder / f"{config.name}.toml"


def _fit_net(config: FusionTraining, material: _Material, tell: Tell) -> tuple[FusionNet, int]:
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    learn, layout = material.learn, material.layout
    net = NETS[config.strategy](Sizes(layout.widths, len(CANONICAL), config.width, config.dropout))
    slots = int(getattr(net, "slots", 1))
    seen = np.repeat(learn.inputs["mask"], layout.widths, axis=1)
    if not any(layout.widths):
        seen = np.zeros_like(learn.inputs["embeddings"])
    counts = np.bincount(learn.actual, minlength=len(CANONICAL)).astype(np.float32)
    net.settle(*map(torch.from_numpy, (learn.inputs["embeddings"], seen, counts)))
    optimiser = torch.optim.AdamW(net.parameters(), config.lr, weight_decay=config.weight_decay)
    steps = config.epochs * -(-len(learn) // config.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.lr, steps, pct_start=0.2)
    some_pairs = material.choose.where(np.arange(0, len(material.choose), 3))
    checks = [only(some_pairs, layout, some) for some in subsets(layout.modalities)]
    best, kept = float("inf"), net.state_dict()
    for epoch in range(config.epochs):
        net.train()
        varied = _varied(config, learn, layout, rng)
        spots = sequences(varied, slots, rng)
        order = rng.permutation(len(varied))
        for first in range(0, len(order), config.batch):
            rows = order[first : first + config.batch]
            logits, _ = net(**_batch(varied, spots[rows]))
            loss = _loss(logits, varied, rows)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        losses = [_log_loss(net, check, slots, config.seed) for check in checks]
        mean = float(np.mean(losses))
        tell(
            f"epoch {epoch + 1}/{config.epochs}: log loss {mean:.4f} over all subsets, "
            f"{losses[0]:.4f} of all modalities"
        )
        if mean < best:
            best, kept = mean, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    return net.eval(), slots


def _varied(
    config: FusionTraining, moments: Moments, layout: Layout, rng: np.random.Generator
) -> Moments:
    """Drop modalities, and spoil some: what a stranger said, with a poor quality."""
    n, m = moments.inputs["mask"].shape
    inputs = {name: x.copy() for name, x in moments.inputs.items()}
    ends = np.cumsum((0, *layout.widths))
    for i in range(m):
        rows = np.flatnonzero((rng.random(n) < config.spoil) & (inputs["mask"][:, i] > 0))
        others = rng.permutation(rows)
        part = slice(ends[i], ends[i + 1])
        inputs["evidence"][rows, i] = moments.inputs["evidence"][others, i]
        inputs["embeddings"][rows, part] = moments.inputs["embeddings"][others, part]
        inputs["quality"][rows, i] = rng.uniform(0, 0.3, len(rows))
    choices = np.array([[x in s for x in layout.modalities] for s in subsets(layout.modalities)])
    keep = choices[rng.integers(len(choices), size=n)] | (rng.random(n) >= config.drop)[:, None]
    here = moments.inputs["mask"] > 0
    nothing = ~(keep & here).any(axis=1)
    keep[nothing] = True
    return _masked(replace(moments, inputs=inputs), layout, keep.astype(np.float32))


def sequences(moments: Moments, slots: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Make each pair the end of a short film: numbers of pairs, (pairs, slots).

    The films are made up: a slot before is the same pair or another one of the same
    label, and in every second film the label before some moment is another one.
    """
    n = len(moments)
    out = np.tile(np.arange(n)[:, None], (1, slots))
    if slots == 1:
        return out
    of_label = [np.flatnonzero(moments.actual == c) for c in range(len(CANONICAL))]
    change = np.where(rng.random(n) < 0.5, rng.integers(1, slots, n), 0)
    before = moments.actual[rng.permutation(n)]
    for i in range(n):
        for t in range(slots - 1):
            label = before[i] if t < change[i] else moments.actual[i]
            if label != moments.actual[out[i, t]] or rng.random() < 0.3:
                out[i, t] = rng.choice(of_label[label])
    return out


def _batch(moments: Moments, spots: NDArray[np.int64]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(moments.inputs[name][spots]) for name in _INPUTS}


def _only_asked(logits: Floats, moments: Moments) -> Floats:
    masked: Floats = np.where(moments.asked > 0, logits, -1e4).astype(np.float32)
    return masked


def _loss(logits: Tensor, moments: Moments, rows: NDArray[np.int64]) -> Tensor:
    asked = torch.from_numpy(moments.asked[rows])
    target = torch.from_numpy(moments.actual[rows])
    return torch.nn.functional.cross_entropy(logits.masked_fill(asked == 0, -1e4), target)


def _answer(net: FusionNet, moments: Moments, spots: NDArray[np.int64]) -> tuple[Floats, Floats]:
    net.eval()
    with torch.inference_mode():
        parts = [net(**_batch(moments, spots[i : i + 1024])) for i in range(0, len(spots), 1024)]
    logits, shares = (torch.cat(x).numpy() for x in zip(*parts, strict=True))
    return logits, shares


def _log_loss(net: FusionNet, moments: Moments, slots: int, seed: int) -> float:
    spots = sequences(moments, slots, np.random.default_rng(seed))
    logits, _ = _answer(net, moments, spots)
    rows = np.arange(len(moments))
    return float(_loss(torch.from_numpy(logits), moments, rows))


def _write_golden(
    card: Card, path: Path, material: _Material, spots: NDArray[np.int64], folder: Path
) -> None:
    """Write some inputs, each as one row of numbers, and the logits that they give."""
    fuser = GraphFuser(card, {"weights": path}, {})
    rows = np.linspace(0, len(spots) - 1, _GOLDENS).astype(int)
    moments = material.choose.inputs
    flat = [
        np.concatenate([moments[name][spots[i]].reshape(-1) for name in fuser.layout.shapes])
        for i in rows
    ]
    inputs = {f"input_{i}": x for i, x in enumerate(flat)}
    logits = fuser.logits([fuser.prepare(x) for x in flat])
    np.savez_compressed(folder / f"{card.id}.golden.npz", logits=logits, **inputs)


# --- pools -----------------------------------------------------------------------------------


def _ship_pool(config: FusionTraining, material: _Material, folder: Path, tell: Tell) -> Path:
    several = [s for s in subsets(material.layout.modalities) if len(s) > 1]
    parts = [only(material.learn, material.layout, some) for some in several]
    experts = Experts(
        np.concatenate([_experts(part, material).p for part in parts]),
        np.concatenate([_reliability(part, material) for part in parts]),
        _priors(material),
    )
    actual = np.concatenate([part.actual for part in parts])
    pool = fit(config.strategy, experts, actual, seed=config.seed)
    for form, loss in pool.losses:
        tell(f"{form}: log loss {loss:.4f} on pairs that it was not fitted to")
    modalities = material.layout.modalities
    more: dict[str, Any] = {
        "floor": pool.floor,
        "weights": {
            m.value: round(float(w), 4) for m, w in zip(modalities, pool.weights, strict=True)
        },
    }
    if pool.by_label is not None:
        more["by_label"] = {
            m.value: [round(float(x), 4) for x in row]
            for m, row in zip(modalities, pool.by_label, strict=True)
        }

    def probabilities(moments: Moments) -> Floats:
        return pool(_experts(moments, material)).astype(np.float32)

    fields = {
        **_fields(config, material, probabilities),
        "calibration": {"temperature": round(pool.calibration.temperature, 4)},
        "fusion": material.fusion(config, **more),
    }
    if pool.log_prior is not None:
        prior = np.exp(pool.log_prior - np.logaddexp.reduce(pool.log_prior))
        fields["prior"] = [round(float(x), 6) for x in prior]
    write_card(fields, folder, {})
    return folder / f"{config.name}.toml"


def _experts(moments: Moments, material: _Material) -> Experts:
    """Undo what a net's inputs do: probabilities over the asked labels, nan elsewhere."""
    evidence, here = moments.inputs["evidence"].astype(np.float64), moments.inputs["mask"] > 0
    priors = _priors(material)
    p = np.exp(evidence) * priors
    known = (moments.asked[:, None] > 0) & here[:, :, None] & ~np.isnan(priors)
    p = np.where(known, p, np.nan)
    p /= np.where(here, np.nansum(p, axis=2), 1.0)[:, :, None]
    return Experts(p, _reliability(moments, material), priors)


def _reliability(moments: Moments, material: _Material) -> Floats:
    """What each part's evidence is worth: (samples, modalities)."""
    power = np.array([TELLING[m] for m in material.layout.modalities], np.float32)
    worth: Floats = moments.inputs["quality"] ** power
    return worth


def _priors(material: _Material) -> NDArray[np.float64]:
    rows = []
    for m in material.layout.modalities:
        card, row = material.cards[m], np.full(len(CANONICAL), np.nan)
        at = [CANONICAL.index(label) for label in card.taxonomy.labels]
        row[at] = card.prior or np.full(len(at), 1 / len(at))
        rows.append(row)
    return np.stack(rows)


# --- cards -----------------------------------------------------------------------------------


def _fields(
    config: FusionTraining, material: _Material, probabilities: Callable[[Moments], Floats]
) -> dict[str, Any]:
    """Return the card's fields, less calibration, fusion and files."""
    names = [card.id for card in material.cards.values()]
    found = sorted({r.corpus for rs in material.readings.values() for r in rs})
    data = [_data(corpus, material) for corpus in found]
    measured = list(_metrics(config.strategy, material, probabilities))
    report = {"metrics": measured, "learnt": len(material.learn), "chosen": len(material.choose)}
    save_text(json.dumps(report, indent=1) + "\n", config.run / "metrics.json")
    return {
        "id": config.name,
        "modality": Modality.FUSED.value,
        "summary": f"{config.strategy.value} fusion of {', '.join(names[:-1])} and {names[-1]}",
        "taxonomy": CANONICAL.name,
        "labels": list(CANONICAL.labels),
        "licence": "as the data that its pairs are made of, "
        + "; ".join(f"{d['name']}: {d['licence']}" for d in data),
        "notes": [
            *config.notes,
            f"Trained once (seed {config.seed}) on {len(material.learn)} pairs of samples by "
            "label, all of validation splits: given the label, their modalities are independent, "
            "which those of one person are not. Its gain on people will be smaller.",
        ],
        "data": data,
        "metrics": measured,
    }


def _data(corpus: str, material: _Material) -> dict[str, Any]:
    recipe = recipes.recipe(corpus)
    samples = sum(len(r) for rs in material.readings.values() for r in rs if r.corpus == corpus)
    return {
        "name": corpus,
        "licence": recipe.licence,
        "used": f"{samples} samples of the validation split: what recognisers said of them",
        "citation": recipe.citation,
        "corpus": corpus,
        "splits": ["validation"],
    }


def _metrics(
    strategy: Strategy, material: _Material, probabilities: Callable[[Moments], Floats]
) -> Iterator[dict[str, Any]]:
    for some in subsets(material.layout.modalities):
        moments = only(material.choose, material.layout, some)
        complete = moments.inputs["mask"].sum(axis=1) == len(some)
        moments = moments.where(complete)
        p = probabilities(moments)
        right = p[np.arange(len(p)), moments.actual]
        figures = {
            "accuracy": float((p.argmax(axis=1) == moments.actual).mean()),
            "log_loss": float(-np.log(np.maximum(right, 1e-9)).mean()),
            "ece": float(metrics.ece(moments.actual, p)),
        }
        for name, value in figures.items():
            yield {
                "corpus": "pairs by label",
                "split": "validation: " + " + ".join(m.value for m in some),
                "name": name,
                "value": round(value, 4),
                "protocol": f"{len(moments)} pairs by label of people that were not learnt from; "
                "the epoch and the temperature were chosen on the same, so it is a little too good",
                "command": "emofuse train fusion --config configs/fusion.yaml --strategy "
                f"{strategy.value} --data ROOT --readings DIR --out RUN",
            }
