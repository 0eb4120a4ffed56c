import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training import tiny

from emofuse.errors import InputError
from emofuse.training.core.checkpoint import read_tensors
from emofuse.training.core.loop import (
    BEST,
    METRICS,
    STATE,
    Batch,
    EpochCallback,
    Keep,
    LoopConfig,
    Optimizer,
    Schedule,
    fit,
    load_weights,
    soft_cross_entropy,
)


def history(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def test_a_tiny_net_learns(tmp_path: Path) -> None:
    best = fit(tiny.make_task(), tiny.config(epochs=12), tmp_path)
    figures = history(tmp_path)
    assert [f["epoch"] for f in figures] == list(range(1, 13))
    assert figures[-1]["loss"] < 0.5 * figures[0]["loss"]
    assert max(f["accuracy"] for f in figures) > 0.9
    net = load_weights(tiny.TinyNet(), best)
    assert tiny.make_task().validate(net)["accuracy"] == max(f["accuracy"] for f in figures)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [(Optimizer.SGD, Schedule.PLATEAU), (Optimizer.ADAMW, Schedule.ONE_CYCLE)],
)
def test_killed_and_resumed_ends_with_the_same_weights(
    tmp_path: Path, optimizer: Optimizer, schedule: Schedule
) -> None:
    """`kill -9` in mid-epoch; the run that goes on ends where an undisturbed one ends."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    config = tiny.config(optimizer, schedule=schedule)
    fit(tiny.make_task(), config, whole)

    program = [sys.executable, tiny.__file__, str(broken), "0.05"]
    program += [optimizer.value, schedule.value]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not (broken / STATE).exists() and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.12)  # into the next epoch
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(history(broken))
    assert 0 < done < 6

    fit(tiny.make_task(), config, broken)
    assert len(history(broken)) == 6
    for name in (BEST, STATE):
        expected, got = load_file(whole / name), load_file(broken / name)
        assert expected.keys() == got.keys()
        for key in expected:
            assert torch.equal(expected[key], got[key]), (name, key)


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    fit(tiny.make_task(), tiny.config(), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    fit(tiny.make_task(), tiny.config(), tmp_path)
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}


def test_another_configuration_or_net_is_refused(tmp_path: Path) -> None:
    fit(tiny.make_task(), tiny.config(epochs=1), tmp_path)
    with pytest.raises(InputError, match="other settings"):
        fit(tiny.make_task(), replace(tiny.config(epochs=1), lr=0.3), tmp_path)
    other = replace(tiny.make_task(), net=torch.nn.Linear(2, 3))
    with pytest.raises(InputError, match="another net"):
        fit(other, tiny.config(epochs=1), tmp_path)
    with pytest.raises(InputError, match="does not fit Linear"):
        load_weights(torch.nn.Linear(2, 3), tmp_path / BEST)


class StopHereError(Exception):
    pass


def stop_after(epoch: int) -> EpochCallback:
    def watch(figures: Mapping[str, float]) -> None:
        if figures["epoch"] == epoch:
            raise StopHereError

    return watch


def test_patience_ends_a_run_for_good(tmp_path: Path) -> None:
    config = replace(tiny.config(epochs=30), lr=1e-9, ema=0.0, patience=2)
    seen: list[int] = []
    fit(tiny.make_task(), config, tmp_path, lambda f: seen.append(int(f["epoch"])))
    done = history(tmp_path)
    best = max(f["accuracy"] for f in done)
    first = next(f["epoch"] for f in done if f["accuracy"] == best)
    assert len(done) == first + 2 < 30
    assert seen == [f["epoch"] for f in done]
    again: list[int] = []
    fit(tiny.make_task(), config, tmp_path, lambda f: again.append(int(f["epoch"])))
    assert again == seen, "a run that was stopped is not taken up again"


@pytest.mark.parametrize("keep", list(Keep))
def test_the_best_or_the_last_epoch_is_kept(tmp_path: Path, keep: Keep) -> None:
    """A figure that falls with each epoch marks the first as the best."""
    figures = iter(range(9, 0, -1))
    task = replace(tiny.make_task(), validate=lambda _: {"accuracy": float(next(figures))})
    kept = fit(task, replace(tiny.config(epochs=3), keep=keep), tmp_path)
    _, about = read_tensors(kept)
    assert about["epoch"] == {Keep.BEST: 1, Keep.LAST: 3}[keep]


def test_the_schedule_is_what_is_logged(tmp_path: Path) -> None:
    config = replace(tiny.config(epochs=4, schedule=Schedule.STEP), every=2, factor=0.1)
    fit(tiny.make_task(), config, tmp_path)
    assert [f["lr"] for f in history(tmp_path)] == pytest.approx([0.2, 0.2, 0.02, 0.02])


def test_a_trunk_may_learn_more_slowly_or_not_at_all(tmp_path: Path) -> None:
    task = tiny.make_task()
    before = {k: v.clone() for k, v in task.net.state_dict().items()}
    config = replace(tiny.config(epochs=1), lr_scale={"layers.0": 0.0, "layers.1": 0.0})
    fit(task, config, tmp_path)
    after = task.net.state_dict()
    assert torch.equal(before["layers.0.weight"], after["layers.0.weight"])
    assert not torch.equal(before["layers.4.weight"], after["layers.4.weight"])
    with pytest.raises(InputError, match=r"no trained parameter begins with trunk.*are layers"):
        fit(tiny.make_task(), replace(config, lr_scale={"trunk": 0.1}), tmp_path / "other")


def test_a_loss_that_is_no_number_is_told_and_costs_nothing(tmp_path: Path) -> None:
    config = tiny.config(epochs=3)
    with pytest.raises(StopHereError):
        fit(tiny.make_task(), config, tmp_path, stop_after(1))
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    whole = tiny.make_task()

    def poisoned(epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        for step, batch in enumerate(whole.batches(epoch, rng)):
            yield replace(batch, inputs=(batch.inputs[0] / 0,)) if step == 4 else batch

    with pytest.raises(InputError, match=r"nan in epoch 2, step 5 of 8, at learning rate 0\.\d+; "):
        fit(replace(whole, batches=poisoned), config, tmp_path)
    assert kept == {p.name: p.read_bytes() for p in tmp_path.iterdir()}


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writing more fails as it does on a full disk."""
    resource = pytest.importorskip("resource", reason="no limits on this platform")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [900, 1500])  # no room for the best weights; for the state
def test_a_full_disk_costs_one_epoch(tmp_path: Path, size: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    fit(tiny.make_task(), tiny.config(epochs=4), whole)
    with pytest.raises(StopHereError):
        fit(tiny.make_task(), tiny.config(epochs=4), broken, stop_after(2))
    state = (broken / STATE).read_bytes()
    message = "no room left on the disk. Nothing is lost: the run in .* up to epoch 2 is intact"
    with no_file_larger_than(size), pytest.raises(InputError, match=message):
        fit(tiny.make_task(), tiny.config(epochs=4), broken)
    assert (broken / STATE).read_bytes() == state
    assert not list(broken.glob("*.part"))
    fit(tiny.make_task(), tiny.config(epochs=4), broken)
    for name in (BEST, STATE):
        expected, got = load_file(whole / name), load_file(broken / name)
        assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_rare_labels_may_count_more() -> None:
    logits = torch.zeros(2, 3)
    target = torch.eye(3)[:2]
    plain = soft_cross_entropy(logits, target)
    weighted = soft_cross_entropy(logits, target, weights=torch.tensor([2.0, 0.5, 1.0]))
    assert weighted.item() == pytest.approx(plain.item() * (2.0 + 0.5) / 2)


def test_unknown_labels_teach_nothing() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    target, mask = torch.tensor([[1.0, 0, 0]]), torch.tensor([[True, True, False]])
    loss = soft_cross_entropy(logits, target, mask)
    assert loss.item() == pytest.approx(float(np.log(1 + np.e)))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_soft_targets() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]]))
    target = torch.tensor([[0.5, 0.5, 0], [0, 0, 1.0]])
    expected = -(0.5 * np.log(0.5) + 0.5 * np.log(0.25) + np.log(0.1)) / 2
    assert soft_cross_entropy(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="epochs"):
        LoopConfig(epochs=0)
    with pytest.raises(ValueError, match="warmup"):
        LoopConfig(warmup=1.0)
