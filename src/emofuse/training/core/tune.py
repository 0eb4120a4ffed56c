"""Searches for better settings with Optuna: trial after trial, in a study that survives a kill.

A configuration names its search space under ``tune``, dotted keys of the
configuration itself, each with a range or choices:

    tune:
      loop.lr: {low: 1.0e-4, high: 1.0e-2, log: true}
      loop.epochs: {low: 8, high: 24, step: 4}
      targets.weighting: {choices: [none, balanced]}

Every trial is a run in a folder of its own, pruned when its validation figure falls
behind those of other trials at the same epoch.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml

from ...config.loader import construct, to_mapping
from ...errors import EmofuseError, InputError
from .checkpoint import disk_errors, save_text
from .console import log
from .schedules import epochs_since_best
from .train import fit_only
from .trainer import Trainer

STUDY, BEST, TABLE, PICTURE = "study.sqlite3", "best.yaml", "trials.csv", "trials.png"

Make = Callable[[Mapping[str, Any], Path], Trainer[Any]]
"""Makes the trainer of a trial from the tuned values and the folder of its run."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a setting may be.

    Args:
        low: smallest value; a whole number means whole numbers.
        high: largest.
        log: search evenly in the logarithm.
        step: distance between values.
        choices: the values themselves, instead of a range.

    Raises:
        ValueError: if it is neither a range nor choices.
    """

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    step: float | int | None = None
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if self.choices:
            if self.low is not None or self.high is not None:
                raise ValueError("either choices or low and high")
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("need low < high, or choices")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range needs low > 0 and no step")

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        """Let a trial draw a value."""
        if self.choices:
            # As JSON: choices may be lists, which Optuna does not take.
            return json.loads(trial.suggest_categorical(key, [json.dumps(c) for c in self.choices]))
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, step=self.step or 1, log=self.log)  # type: ignore[arg-type]
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)


def search(make: Make, folder: Path, trials: int, minutes: float | None = None) -> Path:
    """Run trials, or go on where an interrupted search stopped.

    ``best.yaml`` is the best trial's configuration, to be trained with; ``trials.csv`` and
    ``trials.png`` show all of them.

    Args:
        make: makes a trial's trainer.
        folder: of the search.
        trials: how many there should be in the end, earlier ones included.
        minutes: begin no further trial after so long.

    Returns:
        Path of ``best.yaml``.

    Raises:
        InputError: if the configuration names no search space, no trial was finished, or
            the folder holds another search.
    """
    first = make({}, folder / "trial")
    space = read_space(first.config.tune)
    select = first.config.select or first.select
    study = _open(folder, first, space)
    until = None if minutes is None else time.monotonic() + 60 * minutes
    samples: list[Trainer[Any]] = [first]
    while len(_finished(study)) < trials and (until is None or time.monotonic() < until):
        trial = study.ask()
        number = len(_finished(study)) + 1
        value = _run(trial, number, trials, space, make, folder, select, samples)
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
        _report(study, folder, select)
    done = [t for t in study.trials if t.state is optuna.trial.TrialState.COMPLETE]
    if not done:
        raise InputError(f"no trial was finished in {folder}; allow more --minutes or --trials")
    return _write_best(study, make, folder, select)


def read_space(space: Mapping[str, Any]) -> dict[str, Range]:
    """Read a search space.

    Raises:
        InputError: if it is empty or a range makes no sense.
    """
    if not space:
        raise InputError(
            "the configuration has no search space; expected e.g.  "
            "tune: {loop.lr: {low: 1.0e-4, high: 1.0e-2, log: true}}"
        )
    for key, value in space.items():
        if not isinstance(value, Mapping):
            raise InputError(f"tune.{key}: got {value!r}, expected {{low: …, high: …}} or choices")
    return {key: construct(Range, value, f"tune.{key}") for key, value in space.items()}


def _open(folder: Path, first: Trainer[Any], space: Mapping[str, Range]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with disk_errors(f"what is in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps(
        {
            "task": first.identity(),
            "loop": to_mapping(first.config.loop),
            "space": {key: to_mapping(r) for key, r in space.items()},
        },
        sort_keys=True,
        default=str,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=f"sqlite:///{(folder / STUDY).absolute()}",
            study_name="tune",
            sampler=optuna.samplers.TPESampler(seed=first.config.loop.seed, multivariate=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            direction="maximize",
            load_if_exists=True,
        )
    if study.user_attrs.setdefault("about", about) != about:
        raise InputError(
            f"{folder} holds a search with other settings; choose another folder (--out) or remove "
            "this one"
        )
    study.set_user_attr("about", about)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # It was killed: its settings come again, and its run goes on from its last epoch.
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _run(
    trial: optuna.Trial,
    number: int,
    trials: int,
    space: Mapping[str, Range],
    make: Make,
    folder: Path,
    select: str,
    samples: list[Trainer[Any]],
) -> float | None:
    """Train one trial; return its best figure, or None if it was pruned."""
    values = {key: r.suggest(trial, key) for key, r in space.items()}
    told_as = ", ".join(f"{key} {_short(value)}" for key, value in values.items())
    log(f"trial {number}/{trials}: {told_as}")
    trainer = make(values, folder / _name(values))
    trainer.share_samples(samples[-1])
    samples[:] = [trainer]
    figures: list[float] = []

    def watch(epoch: Mapping[str, float]) -> None:
        figures.append(epoch[select])
        trial.report(epoch[select], len(figures))
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        fit_only(trainer, watch)
    except optuna.TrialPruned:
        log(f"pruned after {len(figures)} epochs: {select} {max(figures):.4f}")
        return None
    except EmofuseError as e:
        if not figures and not _diverged(e):
            raise
        log(f"failed: {e}")  # a learning rate too high, say: that is a result as well
        return None
    return figures[len(figures) - 1 - epochs_since_best(figures)]


def _diverged(error: Exception) -> bool:
    return "the loss or its gradient is" in str(error)


def _name(values: Mapping[str, Any]) -> str:
    """Name a trial's folder by its settings, so that a killed one finds itself again."""
    text = json.dumps(values, sort_keys=True)
    return f"trial-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    over = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return [t for t in study.trials if t.state in over]


def _values(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    categorical = optuna.distributions.CategoricalDistribution
    return {
        key: json.loads(value) if isinstance(trial.distributions[key], categorical) else value
        for key, value in trial.params.items()
    }


def _report(study: optuna.Study, folder: Path, select: str) -> None:
    """Write all trials as a table and as a picture."""
    rows = [
        {
            "trial": t.number + 1,
            "state": t.state.name.lower(),
            select: max(t.intermediate_values.values(), default=None),
            "epochs": len(t.intermediate_values),
            **_values(t),
            "folder": _name(_values(t)),
        }
        for t in _finished(study)
    ]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    with disk_errors(f"what is in {folder}"):
        save_text(out.getvalue(), folder / TABLE)
        _draw(study, folder, select)


def _draw(study: optuna.Study, folder: Path, select: str) -> None:
    """Draw the figure of each trial, and against each setting."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    trials = [t for t in _finished(study) if t.intermediate_values]
    if not trials:
        return
    best = [max(t.intermediate_values.values()) for t in trials]
    pruned = [t.state is optuna.trial.TrialState.PRUNED for t in trials]
    keys = list(trials[0].params)
    columns = min(3, 1 + len(keys))
    rows = -(-(1 + len(keys)) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    for i, key in enumerate(("", *keys)):
        panel = figure.add_subplot(rows, columns, i + 1)
        where: list[Any] = [t.number + 1 for t in trials] if not key else []
        if key:
            values = [_values(t)[key] for t in trials]
            space = trials[0].distributions[key]
            chosen_from = isinstance(space, optuna.distributions.CategoricalDistribution)
            where = [_short(v) for v in values] if chosen_from else values
            if getattr(space, "log", False):
                panel.set_xscale("log")
        for state, colour, label in ((False, "#3b6ea5", "finished"), (True, "#c0c0c0", "pruned")):
            chosen = [j for j, p in enumerate(pruned) if p is state]
            x, y = [where[j] for j in chosen], [best[j] for j in chosen]
            panel.scatter(x, y, color=colour, s=18, label=label)
        if not key:
            panel.step(
                where,
                [max(best[: j + 1]) for j in range(len(best))],
                where="post",
                color="#d08030",
                label="best so far",
            )
            panel.legend(fontsize=7, frameon=False)
        panel.set_xlabel(key or "trial", fontsize=9)
        panel.set_ylabel(select, fontsize=9)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    figure.savefig(folder / PICTURE, dpi=110)


def _write_best(study: optuna.Study, make: Make, folder: Path, select: str) -> Path:
    """Write the best trial's configuration, ready to be trained with."""
    values = _values(study.best_trial)
    settings = to_mapping(make(values, folder / "best").config)
    for key in ("tune", "out"):
        settings.pop(key)
    told_as = "\n".join(f"#   {key}: {_short(value)}" for key, value in values.items())
    head = (
        f"# The best of {len(_finished(study))} trials: {select} {study.best_value:.4f} on "
        f"validation, with\n{told_as}\n"
    )
    with disk_errors(f"what is in {folder}"):
        save_text(
            head + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), folder / BEST
        )
    log(f"best: {select} {study.best_value:.4f} with {values}")
    return folder / BEST


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
