"""A fit may be killed anywhere: taken up again, it ends as if it never had been."""

from __future__ import annotations

import csv
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glandseg.core.errors import EnvironmentLacksError
from glandseg.training.loop import fit as module
from glandseg.training.loop.fit import Progress, fit
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.optimizer import build_optimizer
from glandseg.training.loop.sampling import WHOLE, Batch
from glandseg.training.loop.stopping import TrainingStopped
from glandseg.training.weak.attention import CrissCrossAttention

SETTINGS = FitSettings(steps=10, batch=2, lr=0.01, warmup=3, precision="float32", validate_every=3)
Report = Callable[[Progress], None]


class Killed(Exception):
    """Stands for the end of the process."""


def build_network() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3), nn.Conv2d(8, 2, 3)
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def draw_batch(step: int, places: slice = WHOLE) -> Batch:
    chance = torch.Generator().manual_seed(step)
    images = torch.rand(2, 3, 16, 16, generator=chance)
    labels = (images[:, 0, 2:-2, 2:-2] > 0.5).long()
    return Batch(images=images[places], labels=labels[places], step=step)


def compute_loss(network: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(network(batch.images).float(), batch.labels)


def validate(network: nn.Module) -> dict[str, float]:
    network.eval()
    with torch.no_grad():
        loss = compute_loss(network, draw_batch(1000)).item()
    network.train()
    return {"score": -loss, "other": 1.0}


def run(folder: Path, settings: FitSettings = SETTINGS, report: Report = lambda progress: None) -> nn.Module:
    folder.mkdir(exist_ok=True)
    network = build_network()
    fit(
        network,
        draw_batch,
        compute_loss,
        validate,
        settings=settings,
        folder=folder,
        name="net",
        report=report,
    )
    return network


def kill_at(step: int) -> Report:
    def report(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    return report


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "net.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def expect_same_end(folder: Path, other: Path, networks: tuple[nn.Module, nn.Module]) -> None:
    for (name, a), b in zip(networks[0].state_dict().items(), networks[1].state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for file in ("net.csv", "net.safetensors", "net.progress.safetensors"):
        assert (folder / file).read_bytes() == (other / file).read_bytes(), file


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("steps", [(1,), (3,), (5,), (9,), (10,), (2, 4, 5, 8)])
def test_killed_and_resumed_is_the_same(
    tmp_path: Path, optimizer: str, steps: tuple[int, ...], ema: float
) -> None:
    settings = replace(SETTINGS, optimizer=optimizer, ema=ema)
    whole = run(tmp_path / "whole", settings)
    for step in steps:
        with pytest.raises(Killed):
            run(tmp_path / "torn", settings, kill_at(step))
    expect_same_end(tmp_path / "whole", tmp_path / "torn", (whole, run(tmp_path / "torn", settings)))
    assert [row["step"] for row in read_log(tmp_path / "torn")] == ["3", "6", "9", "10"]


@pytest.mark.parametrize("name", ["log_row", "save_network", "save_state"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 2])
def test_killed_while_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: bool, call: int
) -> None:
    whole = run(tmp_path / "whole")
    calls, write = [], getattr(module, name)

    def kill(*arguments: object) -> None:
        calls.append(name)
        if len(calls) == call and not after:
            raise Killed
        write(*arguments)
        if len(calls) == call:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, kill)
        with pytest.raises(Killed):
            run(tmp_path / "torn")
    expect_same_end(tmp_path / "whole", tmp_path / "torn", (whole, run(tmp_path / "torn")))


def test_the_average_of_the_weights_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    settings = replace(SETTINGS, ema=0.5, validate_every=1)
    expected: list[dict[str, Tensor]] = []
    validated: list[dict[str, Tensor]] = []

    def follow(network: nn.Module) -> None:
        """Average the weights after each step by the formula."""
        step, weights = len(expected), {name: value.clone() for name, value in network.state_dict().items()}
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in weights.items() if expected else ():
            if value.is_floating_point():
                weights[name] = decay * expected[-1][name] + (1 - decay) * value
        expected.append(weights)

    network = build_network()

    def score(kept: nn.Module) -> dict[str, float]:
        assert kept is not network
        follow(network)
        validated.append({name: value.clone() for name, value in kept.state_dict().items()})
        return {"score": float(len(validated))}

    fit(network, draw_batch, compute_loss, score, settings=settings, folder=tmp_path, name="net")
    for averaged, formula in zip(validated, expected, strict=True):
        for name, value in formula.items():
            if value.is_floating_point():
                torch.testing.assert_close(averaged[name], value)
    torch.testing.assert_close(network[0].weight, expected[-1]["0.weight"])


def test_the_best_by_validation_is_what_is_kept(tmp_path: Path) -> None:
    scores, kept = iter([1.0, 3.0, 2.0, 3.0]), []

    def score(network: nn.Module) -> dict[str, float]:
        value = next(scores)
        kept.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"score": value, "other": -value}

    network = build_network()
    fit(network, draw_batch, compute_loss, score, settings=SETTINGS, folder=tmp_path, name="net")
    assert len(kept) == 4
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, kept[1][name]), name
    assert not torch.equal(network.get_parameter("0.weight"), kept[3]["0.weight"])
    assert [row["score"] for row in read_log(tmp_path)] == ["1.0", "3.0", "2.0", "3.0"]


def test_a_finished_fit_is_not_repeated(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    steps: list[Progress] = []
    again = run(tmp_path / "a", report=steps.append)
    assert not steps
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_it_learns_and_tells(tmp_path: Path) -> None:
    reported: list[Progress] = []
    settings = FitSettings(steps=60, batch=2, lr=0.02, warmup=5, precision="bfloat16", validate_every=30)
    run(tmp_path / "a", settings, reported.append)
    assert [progress.step for progress in reported] == list(range(1, 61)) and reported[0].steps == 60
    assert reported[-1].loss < reported[0].loss and reported[-1].seconds_left == 0 < reported[0].seconds_left
    scores = [progress.scores for progress in reported]
    assert scores.count(None) == 58 and scores[-1]
    assert float(read_log(tmp_path / "a")[-1]["score"]) > -0.69  # better than a coin


def test_the_rate_rises_and_decays(tmp_path: Path) -> None:
    settings = FitSettings(
        steps=10, batch=2, lr=0.5, power=1.0, warmup=4, precision="float32", validate_every=1
    )
    run(tmp_path / "a", settings)
    rates = [float(row["lr"]) for row in read_log(tmp_path / "a")]
    expected = [0.5 * min(1, (step + 1) / 4) * (1 - step / 10) for step in range(10)]
    assert rates == pytest.approx(expected)


def test_frozen_weights_stay(tmp_path: Path) -> None:
    network = build_network()
    network[0].requires_grad_(False)
    before = network.get_parameter("0.weight").clone()
    fit(network, draw_batch, compute_loss, validate, settings=SETTINGS, folder=tmp_path, name="net")
    assert torch.equal(network.get_parameter("0.weight"), before)
    again = build_network()
    again[0].requires_grad_(False)
    fit(again, draw_batch, compute_loss, validate, settings=SETTINGS, folder=tmp_path, name="net")
    assert torch.equal(again.get_parameter("4.weight"), network.get_parameter("4.weight"))


def build_plain_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))


def test_accumulating_gives_what_the_whole_batch_gives(tmp_path: Path) -> None:
    networks = []
    for accumulate in (1, 2):
        networks.append(build_plain_network())
        folder = tmp_path / str(accumulate)
        folder.mkdir()
        settings = replace(SETTINGS, accumulate=accumulate, optimizer="sgd")
        fit(networks[-1], draw_batch, compute_loss, validate, settings=settings, folder=folder, name="net")
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.equal(
        networks[0].get_parameter("0.weight"), build_plain_network().get_parameter("0.weight")
    )


def ask_at(folder: Path, step: int, ask: Callable[[Path], None]) -> Report:
    def report(progress: Progress) -> None:
        if progress.step == step:
            ask(folder)

    return report


@pytest.mark.parametrize(
    "ask",
    [
        lambda folder: (folder / "STOP").touch(),
        lambda folder: signal.raise_signal(signal.SIGINT),
        lambda folder: signal.raise_signal(signal.SIGTERM),
    ],
    ids=["file", "ctrl-c", "terminate"],
)
def test_on_a_stop_request_it_saves_and_later_resumes(tmp_path: Path, ask: Callable[[Path], None]) -> None:
    whole, torn = run(tmp_path / "whole"), tmp_path / "torn"
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(TrainingStopped, match="net: stopped as requested after step 5 of 10"):
        run(torn, report=ask_at(torn, 4, ask))
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert not (torn / "STOP").exists()
    reported: list[Progress] = []
    expect_same_end(tmp_path / "whole", torn, (whole, run(torn, report=reported.append)))
    assert reported[0].step == 6


def test_without_improvement_it_ends(tmp_path: Path) -> None:
    scores = iter([1.0, 3.0, 2.0, 3.0, 9.0])
    settings = replace(SETTINGS, steps=50, patience=2)
    for steps in (12, 0):  # the second call sees that nothing is left
        reported: list[Progress] = []
        fit(
            build_network(),
            draw_batch,
            compute_loss,
            lambda network: {"score": next(scores)},
            settings=settings,
            folder=tmp_path,
            name="net",
            report=reported.append,
        )
        assert len(reported) == steps
    assert next(scores) == 9.0


def test_scales_are_logged_and_learn_at_their_own_rate(tmp_path: Path) -> None:
    def learn(folder: Path, scale_lr: float | None) -> float:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 5), CrissCrossAttention(8), nn.Conv2d(8, 2, 1))
        folder.mkdir()
        settings = replace(SETTINGS, scale_lr=scale_lr)
        fit(network, draw_batch, compute_loss, validate, settings=settings, folder=folder, name="net")
        rows = read_log(folder)
        assert {"1.scale", "lr"} <= set(rows[0])
        return abs(float(rows[-1]["1.scale"]))

    assert learn(tmp_path / "still", 0.0) == 0 < learn(tmp_path / "slow", None)
    assert learn(tmp_path / "fast", 0.1) > 3 * learn(tmp_path / "slow again", 0.01)


def test_scales_do_not_decay() -> None:
    groups = build_optimizer(CrissCrossAttention(8), replace(SETTINGS, scale_lr=0.5)).param_groups
    assert [len(group["params"]) for group in groups] == [6, 1]
    assert [group["weight_decay"] for group in groups] == [SETTINGS.weight_decay, 0]
    assert groups[1]["peak"] == 0.5


def test_what_is_missing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    network = build_network()
    with pytest.raises(EnvironmentLacksError, match="tensorboard: not installed"):
        fit(
            network,
            draw_batch,
            compute_loss,
            validate,
            settings=SETTINGS,
            folder=tmp_path,
            name="net",
            tensorboard=True,
        )
    if not torch.cuda.is_available():
        with pytest.raises(EnvironmentLacksError, match="float16: needs an NVIDIA GPU"):
            run(tmp_path / "half", replace(SETTINGS, precision="float16"))


def test_events_are_written_where_tensorboard_is(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fit(
        build_network(),
        draw_batch,
        compute_loss,
        validate,
        settings=SETTINGS,
        folder=tmp_path,
        name="net",
        tensorboard=True,
    )
    assert list((tmp_path / "tensorboard/net").glob("events*"))
