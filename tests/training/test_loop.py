import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("safetensors", reason="the extra 'train' is not installed")

from dataclasses import replace  # noqa: E402

from safetensors.torch import load_file  # noqa: E402
from tests.training import tiny  # noqa: E402

from emofuse.errors import InputError  # noqa: E402
from emofuse.training.loop import (  # noqa: E402
    BEST,
    METRICS,
    STATE,
    LoopConfig,
    Optimiser,
    fit,
    load_weights,
    one_cycle,
    schedule,
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


@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_killed_and_resumed_ends_with_the_same_weights(
    tmp_path: Path, optimiser: Optimiser
) -> None:
    """`kill -9` in mid-epoch; the run that goes on ends where an undisturbed one ends."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    fit(tiny.make_task(), tiny.config(optimiser), whole)

    program = [sys.executable, tiny.__file__, str(broken), "0.05", optimiser.value]
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

    fit(tiny.make_task(), tiny.config(optimiser), broken)
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


def test_one_cycle_rises_once_and_falls_to_nothing() -> None:
    rates = [one_cycle(step, 100, 0.25) for step in range(101)]
    assert rates[25] == max(rates) == 1
    assert rates[0] == pytest.approx(0.04)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_each_further_cycle_is_the_same_at_half_the_height() -> None:
    once = [schedule(step, 100, 0.2) for step in range(100)]
    twice = [schedule(step, 200, 0.2, cycles=2) for step in range(200)]
    assert once == [one_cycle(step, 100, 0.2) for step in range(100)]
    assert twice == once + [share / 2 for share in once]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="epochs"):
        LoopConfig(epochs=0)
    with pytest.raises(ValueError, match="warmup"):
        LoopConfig(warmup=1.0)
