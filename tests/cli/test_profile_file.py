"""The trace of `--profile`: whose it is, and what it must not replace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.cli.profile_file import check_profile, write_profile
from glandseg.core.errors import BadInputError
from glandseg.core.trace import Trace
from glandseg.model.onnx.cpu import CpuSession
from glandseg.synthetic import draw_slide, write_slide


def test_an_older_trace_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    check_profile(trace)
    write_profile(Trace(keeps_spans=True), trace)
    check_profile(trace)
    slide = tmp_path / "slide.tif"
    slide.write_bytes(b"II*\0")
    with pytest.raises(BadInputError, match=r"slide\.tif exists and is not a trace"):
        check_profile(slide)
    with pytest.raises(BadInputError, match="is not a regular file"):
        check_profile(tmp_path)
    with pytest.raises(BadInputError, match="is not a folder"):
        check_profile(tmp_path / "none" / "trace.json")


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
@pytest.mark.parametrize("name", ["trace.json", ".trace.json.part"])
def test_a_link_is_replaced_and_not_followed(name: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    (tmp_path / name).symlink_to(victim)
    write_profile(Trace(keeps_spans=True), tmp_path / "trace.json")
    assert victim.read_bytes() == b""
    assert not (tmp_path / "trace.json").is_symlink()


def test_what_a_failed_slide_took_is_kept(
    tmp_path: Path, red_model: Path, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_slide(tmp_path / "one.tif", draw_slide(300, 300, 0.5, 3)[0], 0.5)

    def fail(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(CpuSession, "infer", fail)
    trace = tmp_path / "trace.json"
    assert run_command("infer", tmp_path / "one.tif", "--model", red_model, "--profile", trace).code == 3
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    assert {"hash", "thumbnail"} <= {event["name"] for event in events}
