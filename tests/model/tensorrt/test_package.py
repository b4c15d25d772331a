"""Which TensorRT is chosen, and what it is used for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.tensorrt.package import FULL, RTX, TensorRtPackage, find_package

Install = Callable[..., Any]


def test_of_two_the_one_for_every_gpu_is_taken(install: Install) -> None:
    install("tensorrt", "11.4.0.106")
    install("tensorrt_rtx", "1.7.1.116")
    assert find_package().package == FULL
    assert str(find_package(RTX)) == "TensorRT for RTX 1.7.1.116"


def test_none_is_told_with_the_cure(install: Install) -> None:
    with pytest.raises(EnvironmentLacksError, match=r"tensorrt: .*tensorrt_rtx: .*pip install") as raised:
        find_package()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("version", ["10.2.0", "10.2.0.19"])
def test_a_known_bad_version_is_refused(install: Install, version: str) -> None:
    install("tensorrt", version)
    with pytest.raises(EnvironmentLacksError, match=r"TensorRT 10\.2\.0.*wrong results"):
        find_package()


@pytest.mark.parametrize("version", ["10.20.0", "10.16.1.11", "11.4.0.106"])
def test_a_network_keeps_the_number_types_of_the_file(install: Install, version: str) -> None:
    install("tensorrt", version)
    assert find_package().network_flags == 1 << 1


def test_what_cannot_keep_float16_is_refused(install: Install) -> None:
    install("tensorrt", "10.0.1", typed=False)
    with pytest.raises(EnvironmentLacksError, match="cannot keep float16"):
        find_package()
    install("tensorrt", "9.3.0")
    with pytest.raises(EnvironmentLacksError, match="cannot keep float16"):
        find_package()


def test_later_ones_are_typed_without_the_flag(install: Install) -> None:
    install("tensorrt", "12.0.0", typed=False)
    assert find_package().network_flags == 0


def test_only_rtx_builds_for_other_gpus(install: Install) -> None:
    install("tensorrt", "11.4.0.106")
    full = find_package()
    full.check_targets(())
    with pytest.raises(BadInputError, match="this machine's GPU alone"):
        full.check_targets(("sm89",))


def test_unknown_gpus_are_refused_with_those_known(rtx: TensorRtPackage) -> None:
    assert {"sm75", "sm86", "sm89", "sm120"} <= set(rtx.targets)
    rtx.check_targets(("sm86", "sm89"))
    with pytest.raises(BadInputError, match=r"knows sm75, .* Received: sm90, 8\.9"):
        rtx.check_targets(("sm86", "sm90", "8.9"))


def test_the_local_gpu_is_built_for(rtx: TensorRtPackage) -> None:
    assert rtx.choose_targets("sm75") == ("sm75",)
    assert rtx.choose_targets("sm89") == ("sm89",)
    assert rtx.choose_targets("sm130") == rtx.choose_targets(None) == ()


def test_a_gpu_that_is_no_rtx_card_is_refused(rtx: TensorRtPackage) -> None:
    for fit in ("sm75", "sm89", "sm121", "sm130", None):
        rtx.check_gpu("a card", fit)
    for unfit in ("sm70", "sm80", "sm90"):
        with pytest.raises(EnvironmentLacksError, match=rf"does not run on NVIDIA H100 \({unfit}\)"):
            rtx.check_gpu("NVIDIA H100", unfit)


def test_the_full_tensorrt_is_refused_on_gpus_before_turing(install: Install) -> None:
    install("tensorrt", "11.4.0")
    full = find_package()
    for fit in ("sm75", "sm80", "sm90", "sm130", None):
        full.check_gpu("a card", fit)
    with pytest.raises(EnvironmentLacksError, match=r"does not run on Tesla V100 \(sm70\).*--device cuda"):
        full.check_gpu("Tesla V100", "sm70")
