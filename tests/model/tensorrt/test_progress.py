"""Progress of a build, and stopping it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from glandseg.model.tensorrt.build import BuildSettings, build_engine
from glandseg.model.tensorrt.package import TensorRtPackage
from glandseg.model.tensorrt.progress import Phases, interrupts_noted

WriteNetwork = Callable[..., Path]


def test_nested_phases_are_one_count() -> None:
    phases = Phases()
    phases.start("build", None, 2)
    phases.start("read", "build", 4)
    phases.step("read", 1)
    assert phases.percent == 25
    phases.step("read", 3)
    phases.finish("read")
    phases.step("build", 0)
    assert phases.percent == 50
    phases.start("tune", "build", 10)
    phases.step("tune", 4)
    assert phases.percent == 75
    phases.step("build", 1)
    assert phases.percent == 100


def test_the_count_never_falls_nor_leaves_its_range() -> None:
    phases = Phases()
    phases.start("build", None, 0)
    phases.step("build", 9)
    assert phases.percent == 100
    phases.step("a phase that never began", 3)
    phases.start("again", None, 10)
    phases.step("again", 0)
    assert phases.percent == 100


def test_a_build_tells_its_progress(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path
) -> None:
    steps: list[tuple[int, int, str]] = []
    build_engine(
        write_network(tmp_path / "small.onnx"), BuildSettings(batch=1), rtx, lambda *step: steps.append(step)
    )
    percents = [done for done, _, _ in steps]
    assert percents == sorted(percents) and percents[-1] == 100 and len(set(percents)) > 3
    assert all(one != other for one, other in pairwise(steps))


def test_ctrl_c_stops_a_build(rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path) -> None:
    steps = []

    def press(done: int, total: int, note: str) -> None:
        steps.append(note)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build_engine(write_network(tmp_path / "small.onnx"), BuildSettings(batch=1), rtx, press)
    assert len(steps) == 1
    assert signal.getsignal(signal.SIGINT) == before


def test_what_the_listener_raises_comes_out(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path
) -> None:
    def fail(done: int, total: int, note: str) -> None:
        raise BrokenPipeError("nobody listens")

    with pytest.raises(BrokenPipeError, match="nobody listens"):
        build_engine(write_network(tmp_path / "small.onnx"), BuildSettings(batch=1), rtx, fail)


def test_other_threads_leave_ctrl_c_alone() -> None:
    seen = []

    def work() -> None:
        with interrupts_noted(threading.Event()):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
