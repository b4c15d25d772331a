"""Where the time goes: spans of work by stage and thread, as a table and as a trace for Perfetto."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

BEGINNING = '{"displayTimeUnit": "ms", "traceEvents": ['  # of a trace file


# Identity and name: the system reuses the identity of a thread that ended.
_Thread: TypeAlias = tuple[int, str]


@dataclass
class _Stage:
    calls: int = 0
    spent_s: float = 0.0  # summed over threads
    busy_s: float = 0.0  # while at least one thread ran it
    running: int = 0
    since: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """Time that a stage took.

    Attributes:
        calls: Number of runs.
        spent_s: Seconds, summed over threads.
        busy_s: Seconds in which at least one thread ran it.
    """

    calls: int
    spent_s: float
    busy_s: float


@dataclass
class Trace:
    """Spans of work; safe for threads.

    Attributes:
        keeps_spans: Whether to keep each span for the trace file; the table needs only their sums.
    """

    keeps_spans: bool = False
    _stages: defaultdict[str, _Stage] = field(default_factory=lambda: defaultdict(_Stage))
    _spans: list[tuple[str, _Thread, float, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def span(self, stage: str) -> Iterator[None]:
        """Add the block's time to a stage."""
        start = self._begin(stage)
        try:
            yield
        finally:
            self._end(stage, start)

    def get_times(self) -> dict[str, StageTime]:
        """Return the time of each stage, in the order of their first runs."""
        with self._lock:
            return {
                name: StageTime(
                    calls=stage.calls, spent_s=round(stage.spent_s, 3), busy_s=round(stage.busy_s, 3)
                )
                for name, stage in self._stages.items()
            }

    def absorb(self, other: Trace) -> None:
        """Add another trace's sums and spans, except spans that still run."""
        with self._lock, other._lock:
            for name, stage in other._stages.items():
                own = self._stages[name]
                own.calls += stage.calls
                own.spent_s += stage.spent_s
                own.busy_s += stage.busy_s
            self._spans += other._spans

    @property
    def elapsed_s(self) -> float:
        """Seconds since the trace began."""
        return time.perf_counter() - self._start

    def write(self, path: Path) -> None:
        """Write the spans as a JSON trace that Perfetto and chrome://tracing open; times in microseconds."""
        numbers = {
            thread: number
            for number, thread in enumerate(dict.fromkeys(thread for _, thread, _, _ in self._spans), 1)
        }
        threads = [
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}}
            for (_, name), number in numbers.items()
        ]
        spans = [
            {
                "ph": "X",
                "name": stage,
                "cat": "glandseg",
                "pid": 1,
                "tid": numbers[thread],
                "ts": round(1e6 * (start - self._start), 1),
                "dur": round(1e6 * (end - start), 1),
            }
            for stage, thread, start, end in self._spans
        ]
        events: list[dict[str, Any]] = [*threads, *spans]
        path.write_text(json.dumps({"displayTimeUnit": "ms", "traceEvents": events}), encoding="utf-8")

    def _begin(self, stage_name: str) -> float:
        with self._lock:
            now, stage = time.perf_counter(), self._stages[stage_name]
            if stage.running == 0:
                stage.since = now
            stage.running += 1
            return now

    def _end(self, stage_name: str, start: float) -> None:
        with self._lock:
            now, stage = time.perf_counter(), self._stages[stage_name]
            stage.calls += 1
            stage.spent_s += now - start
            stage.running -= 1
            if stage.running == 0:
                stage.busy_s += now - stage.since
            if self.keeps_spans:
                thread = threading.current_thread()
                self._spans.append((stage_name, (thread.ident or 0, thread.name), start, now))


def tabulate(trace: Trace) -> list[str]:
    """Return a table of the stages' times as lines, heading first."""
    elapsed = max(trace.elapsed_s, 1e-9)
    lines = [f"{'stage':<12}{'calls':>9}{'busy s':>10}{'share':>8}{'thread s':>10}"]
    for name, item in trace.get_times().items():
        share = item.busy_s / elapsed
        lines.append(f"{name:<12}{item.calls:>9}{item.busy_s:>10.2f}{share:>8.0%}{item.spent_s:>10.2f}")
    return lines
