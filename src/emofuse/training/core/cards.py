"""What a trained model's card says: from the recipes of its corpora and the run itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...corpora import recipes
from ...corpora.manifest import Entry, Split
from ...corpora.recipe import Recipe
from ...errors import InputError
from .corpora import Corpus, Labels
from .loop import Keep
from .samples import Samples
from .trainer import Trainer


def fields(trainer: Trainer[Any]) -> dict[str, Any]:
    """Return a card's fields, less what is measured and ``files``."""
    config = trainer.config
    names = " and ".join(c.name for c in trainer.corpora)
    return {
        "id": config.id,
        "modality": trainer.modality.value,
        "recogniser": trainer.recogniser_name,
        "summary": config.summary or f"{trainer.plan.kind.title}; trained on {names}",
        "taxonomy": trainer.output_labels.name,
        "labels": list(trainer.output_labels.labels),
        "licence": config.licence or licence(trainer.corpora),
        "notes": [*config.notes, *_notes(trainer)],
        "preparation": trainer.card_preparation(),
        "data": [data(corpus) for corpus in trainer.corpora],
        **trainer.card_fields(),
    }


def licence(corpora: Sequence[Corpus]) -> str:
    """Return the terms of the training data, which bind the weights as well."""
    terms = (f"{corpus.name}: {_licence(corpus)}" for corpus in corpora)
    return "as its training data, " + "; ".join(terms)


def data(corpus: Corpus) -> dict[str, Any]:
    """Return what a card says of one corpus, for people and for `emofuse evaluate`."""
    recipe, choice = _recipe(corpus), corpus.choice
    learn, choose = (corpus.manifest.of(s).entries for s in (Split.TRAIN, Split.VALIDATION))
    used = f"{_size(learn)} to learn from"
    if choose:
        used += f", {_size(choose)} to choose and calibrate"
    out: dict[str, Any] = {
        "name": corpus.name,
        "licence": _licence(corpus),
        "used": used,
        "citation": recipe.citation if recipe else "",
        "corpus": corpus.name,
        "splits": sorted({corpus.own_split[e.id].value for e in learn}),
    }
    if choice.validation_folds or choice.test_folds is not None:
        out["folds"] = sorted({e.fold for e in learn if e.fold is not None})
    if corpus.held_out:
        out["speakers"] = sorted({e.speaker for e in learn if e.speaker})
    chosen = sorted({corpus.own_split[e.id].value for e in choose} - set(out["splits"]))
    out["chosen"] = chosen + [f"fold {k}" for k in choice.validation_folds]
    return out


def metrics(found: dict[str, float], samples: Samples[Any], labels: int) -> list[dict[str, Any]]:
    """Return a card's figures on validation samples."""
    people = len({e.speaker for e in samples.entries if e.speaker})
    of = f"{len(samples)} samples" + (f" of {people} speakers" if people else "")
    return [
        {
            "corpus": samples.corpus,
            "split": "validation",
            "name": name,
            "value": round(value, 4),
            "protocol": f"{of}; the answer is the best of the corpus' {labels} labels; the epoch "
            "and the temperature were chosen on the same samples, so it is a little too good",
            "command": f"emofuse evaluate CARD --corpus {samples.corpus} --data ROOT",
        }
        for name, value in found.items()
    ]


def _notes(trainer: Trainer[Any]) -> list[str]:
    config, targets = trainer.config, trainer.config.targets
    select = config.select or trainer.select
    chosen = f"the epoch was chosen by {select} on validation"
    if config.loop.keep is Keep.LAST:
        chosen = f"the last of {config.loop.epochs} epochs was kept"
    out = [f"Trained once (seed {config.loop.seed}); {chosen}."]
    if targets.votes and (second := [c for c in trainer.corpora if c.choice.secondary_labels]):
        named = ", ".join(f"{c.name}: {c.choice.secondary_labels}" for c in second)
        out.append(f"{targets.votes:.0%} of the targets are a second labelling ({named}).")
    if taught := [c.name for c in trainer.corpora if c.choice.teacher]:
        out.append(
            f"{targets.teacher:.0%} of the targets of {', '.join(taught)} are the posteriors of "
            "another model."
        )
    if config.labels is Labels.AGGREGATED:
        out.append(
            f"It learned the {len(trainer.learned)} labels of {trainer.learned.name} and answers "
            f"with their sums: {_sums(trainer)}."
        )
    if config.init is not None:
        out.append(f"It started from the weights of another training ({config.init.name}).")
    return out


def _sums(trainer: Trainer[Any]) -> str:
    """Say which learned labels make each answer."""
    assert trainer.aggregation is not None
    parts = []
    for label, column in zip(trainer.output_labels.labels, trainer.aggregation.T, strict=True):
        names = [x for x, w in zip(trainer.learned.labels, column, strict=True) if w > 0]
        if names != [label]:
            parts.append(f"{label} = {' + '.join(names)}")
    return "; ".join(parts) or "each its own"


def _recipe(corpus: Corpus) -> Recipe | None:
    try:
        return recipes.recipe(corpus.choice.name)
    except InputError:  # a manifest of the user's own
        return None


def _licence(corpus: Corpus) -> str:
    recipe = _recipe(corpus)
    return recipe.licence if recipe else "unknown"


def _size(entries: Sequence[Entry]) -> str:
    people = len({e.speaker for e in entries if e.speaker})
    return f"{len(entries)} samples" + (f" of {people} speakers" if people else "")
