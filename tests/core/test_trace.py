"""Where the time went."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from glandseg.core.trace import BEGINNING, Trace, tabulate


@pytest.fixture
def trace() -> Trace:
    """Give a trace of two overlapping spans in threads, and of one stage that failed."""
    trace, together = Trace(keeps_spans=True), threading.Barrier(2)

    def work() -> None:
        with trace.span("network"):
            together.wait(10)
            time.sleep(0.02)
            together.wait(10)

    threads = [threading.Thread(target=work, name=f"network {index}") for index in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(KeyError), trace.span("read"):
        raise KeyError
    return trace


def test_overlapping_spans_count_once_as_busy(trace: Trace) -> None:
    times = trace.get_times()
    assert list(times) == ["network", "read"]
    assert (times["network"].calls, times["read"].calls) == (2, 1)
    assert times["network"].busy_s < times["network"].spent_s <= 2 * times["network"].busy_s + 0.002


def test_the_file_is_a_trace(trace: Trace, tmp_path: Path) -> None:
    trace.write(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert [span["name"] for span in spans] == ["network", "network", "read"]
    assert sorted(names[span["tid"]] for span in spans) == ["MainThread", "network 1", "network 2"]
    assert all(span["dur"] >= 0 and span["ts"] >= 0 for span in spans)


def test_the_table_has_a_line_a_stage(trace: Trace) -> None:
    heading, *lines = tabulate(trace)
    assert heading.split()[0] == "stage"
    assert [line.split()[0] for line in lines] == ["network", "read"]


def test_threads_of_several_slides_keep_their_names(tmp_path: Path) -> None:
    """The system gives the identity of a thread that ended to the next one."""
    whole = Trace(keeps_spans=True)
    for names in (("network", "read"), ("read", "network")):
        own = Trace(keeps_spans=True)
        for name in names:
            with own.span(name):
                pass
            own._spans[-1] = (name, (1, name), *own._spans[-1][2:])  # one identity for all
        whole.absorb(own)
    whole.write(tmp_path / "trace.json")
    text = (tmp_path / "trace.json").read_text(encoding="utf-8")
    assert text.startswith(BEGINNING)
    events = json.loads(text)["traceEvents"]
    names_of = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert [names_of[event["tid"]] for event in events if event["ph"] == "X"] == [
        "network",
        "read",
        "read",
        "network",
    ]
