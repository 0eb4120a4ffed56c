"""From settings to a finished group model: each stream, then the head, then the export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from ...config.loader import to_mapping
from ...core.labels import Taxonomy
from ...errors import InputError
from ...group.streams import CENTER, Stream, StreamPreparation
from ..core.checkpoint import disk_errors, load_weights, save_text
from ..core.console import log
from ..core.curves import draw_curves
from ..core.loop import Batch, LoopConfig, Task, fit
from ..core.measure import classified
from ..core.run_folder import CONFIG, RunFolder
from ..core.samples import Samples, drawn, label_weights, shuffled, steps_of
from .config import GroupTraining, HeadTraining, StreamTraining
from .data import GroupData, Part, inputs, random_crops
from .export import Trained, export
from .nets import FusionHead, StreamNet, build

Floats = NDArray[np.float32]

SELECT = "accuracy"
"""Figure that chooses the epoch."""

_AT_ONCE = 8  # clips that a net is asked about at once


@dataclass(frozen=True, slots=True)
class _Stage:
    """One of the runs of which a group training is made, as its folder tells it."""

    id: str
    run: Path
    settings: StreamTraining | HeadTraining
    preparation: StreamPreparation

    @property
    def loop(self) -> LoopConfig:
        return self.settings.loop


@dataclass(frozen=True, slots=True, eq=False)
class _Features:
    """What the streams found in the clips of one corpus.

    Args:
        samples: the clips.
        values: float32 (clips, width), 0 where a stream is missing.
        here: float32 (clips, streams), 1 where it is here.
    """

    samples: Samples[Path]
    values: Floats
    here: Floats


def train(config: GroupTraining) -> Path:
    """Train a group model, or go on where an interrupted training stopped.

    Args:
        config: of the training.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if data is missing or damaged, a folder holds another run, or there is no room.
    """
    with disk_errors(f"what is in {config.run}"):
        config.run.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True)
        save_text(text, config.run / CONFIG)
    data = GroupData(config)
    preparation = data.preparation
    nets = {s: _train_stream(config, data, preparation, s) for s in preparation.streams}
    learn = [_features(nets, preparation, part) for part in data.train]
    choose = [_features(nets, preparation, part) for part in data.validation]
    head = _train_head(config, data, preparation, learn, choose)
    logits = [_answer(head, f) for f in choose]
    trained = Trained(
        nets=nets,
        head=head,
        preparation=preparation,
        logits=logits,
        samples=[f.samples for f in choose],
        metrics=_figures(head, preparation, choose, logits),
        example=[torch.from_numpy(x[:2]) for x in (choose[0].values, choose[0].here)],
    )
    return export(config, data, trained)


def _train_stream(
    config: GroupTraining, data: GroupData, preparation: StreamPreparation, stream: Stream
) -> StreamNet:
    """Train the net of a stream; return it with the weights of its best epoch."""
    settings = config.streams[stream]
    loop = settings.loop
    torch.manual_seed(loop.seed)
    net = build(settings.net, preparation.input_shape(stream), len(data.labels))
    parameters = sum(p.numel() for p in net.parameters())
    log(f"{stream.value}: {parameters:,} parameters; on {loop.torch_device}")
    learn = [p.having(stream) for p in data.train]
    choose = [s for p in data.validation if len(s := p.having(stream))]
    weights = label_weights(learn, config.targets, len(data.labels))

    def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
        for places in drawn(learn, settings.batch, rng):
            crops = random_crops(stream, len(places), rng)
            seen = inputs(preparation, stream, [learn[k].media[i] for k, i in places], crops)
            target = np.stack([learn[k].target[i] for k, i in places])
            known = np.stack([learn[k].known[i] for k, i in places])
            yield Batch(
                tuple(map(torch.from_numpy, (seen,))), *map(torch.from_numpy, (target, known))
            )

    def validate(module: nn.Module) -> Mapping[str, float]:
        device = next(module.parameters()).device
        pairs = []
        for samples in choose:
            parts = [
                module(x.to(device)).float().cpu()
                for x in _seen(preparation, stream, samples.media)
            ]
            pairs.append((torch.cat(parts).numpy(), samples))
        return measured(pairs)

    stage = _Stage(config.id, config.run / stream.value, settings, preparation)
    try:
        steps = steps_of(learn, settings.batch)
    except InputError as e:
        raise InputError(f"{stream.value}.batch: {e}") from e
    about = _about(data.labels, stage)
    task = Task(
        net,
        batches,
        steps,
        validate,
        SELECT,
        None if weights is None else torch.from_numpy(weights),
        about=about,
    )
    return _fitted(net, task, stage)


def _train_head(
    config: GroupTraining,
    data: GroupData,
    preparation: StreamPreparation,
    learn: Sequence[_Features],
    choose: Sequence[_Features],
) -> FusionHead:
    """Train what joins the streams, on features that do not change any more."""
    settings = config.fusion
    torch.manual_seed(settings.loop.seed)
    widths = [config.streams[s].net.width for s in preparation.streams]
    head = FusionHead(widths, len(data.labels), settings.drop)
    values, here = (
        torch.from_numpy(np.concatenate([getattr(f, n) for f in learn])) for n in ("values", "here")
    )
    head.initialize_from_data(values, here)
    target, known = (
        torch.from_numpy(np.concatenate([getattr(f.samples, n) for f in learn]))
        for n in ("target", "known")
    )
    if len(values) < settings.batch:
        raise InputError(
            f"fusion.batch: a batch needs {settings.batch} clips, the training data has "
            f"{len(values)}; lower it"
        )
    weights = label_weights([f.samples for f in learn], config.targets, len(data.labels))

    def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
        for index in shuffled(len(values), settings.batch, rng):
            i = torch.from_numpy(index)
            yield Batch((values[i], here[i]), target[i], known[i])

    def validate(module: nn.Module) -> Mapping[str, float]:
        return measured([(_answer(module, f), f.samples) for f in choose])

    stage = _Stage(config.id, config.run / "fusion", settings, preparation)
    task = Task(
        head,
        batches,
        len(values) // settings.batch,
        validate,
        SELECT,
        None if weights is None else torch.from_numpy(weights),
        about=_about(data.labels, stage),
    )
    return _fitted(head, task, stage)


def _fitted(net: Any, task: Task, stage: _Stage) -> Any:
    """Run the loop in a stage's folder; return the net with the best weights."""
    log(f"{stage.run.name}: {stage.loop.epochs} epochs of {task.steps_per_epoch} steps")
    with RunFolder(stage, task.about) as folder:
        best = fit(task, stage.loop, stage.run, folder.log)
    draw_curves(stage.run)
    return load_weights(net.to("cpu"), best)


def _about(labels: Taxonomy, stage: _Stage) -> dict[str, Any]:
    """Return what must be equal for a stage to be the same run, besides its loop."""
    told = to_mapping(stage)
    settings = {k: v for k, v in told["settings"].items() if k != "loop"}
    preparation = {k: v for k, v in told["preparation"].items() if k not in ("streams", "widths")}
    if stage.run.name == "fusion":
        preparation["streams"] = told["preparation"]["streams"]
    return {"learned": list(labels.labels), "preparation": preparation, **settings}


def _features(
    nets: Mapping[Stream, StreamNet], preparation: StreamPreparation, part: Part
) -> _Features:
    """Ask the trained streams for the features of all clips."""
    order = list(Stream)
    columns = [part.here[:, order.index(s)] for s in preparation.streams]
    values = []
    for stream, here in zip(preparation.streams, columns, strict=True):
        net = nets[stream].eval()
        found = np.zeros((len(part.samples), net.width), np.float32)
        media = [m for m, yes in zip(part.samples.media, here, strict=True) if yes]
        if media:
            with torch.inference_mode():
                parts = [net.embed(x) for x in _seen(preparation, stream, media)]
            found[here] = torch.cat(parts).float().numpy()
        values.append(found)
    return _Features(
        part.samples, np.concatenate(values, axis=1), np.stack(columns, axis=1).astype(np.float32)
    )


def _seen(
    preparation: StreamPreparation, stream: Stream, media: Sequence[Path]
) -> Iterator[Tensor]:
    """Yield what a net sees of clips in use, some at a time."""
    for start in range(0, len(media), _AT_ONCE):
        some = media[start : start + _AT_ONCE]
        yield torch.from_numpy(inputs(preparation, stream, some, [CENTER] * len(some)))


def _answer(head: nn.Module, features: _Features, here: Floats | None = None) -> Floats:
    """Return the head's logits, (clips, labels)."""
    device = next(head.parameters()).device
    pair = (features.values, features.here if here is None else here)
    with torch.inference_mode():
        answer: Tensor = head.eval()(*(torch.from_numpy(x).to(device) for x in pair))
    return answer.float().cpu().numpy()


def measured(pairs: Sequence[tuple[Floats, Samples[Path]]]) -> dict[str, float]:
    """Measure logits on the clips of each corpus; of several, return the mean."""
    each = [classified(logits, s.label, s.covered) for logits, s in pairs]
    return {name: float(np.mean([found[name] for found in each])) for name in each[0]}


def _figures(
    head: FusionHead,
    preparation: StreamPreparation,
    choose: Sequence[_Features],
    logits: Sequence[Floats],
) -> list[dict[str, float]]:
    """Measure the whole on each corpus, and what it loses without each stream."""
    out = []
    for features, answer in zip(choose, logits, strict=True):
        found = measured([(answer, features.samples)])
        for i, stream in enumerate(preparation.streams):
            here = features.here.copy()
            here[:, i] = 0
            left = here.any(axis=1)
            if left.all() and len(preparation.streams) > 1:
                without = measured([(_answer(head, features, here), features.samples)])
                found[f"accuracy_without_{stream.value}"] = without["accuracy"]
        out.append(found)
    return out
