"""Run command lines of glandseg, each in a process forked from this one, within bounds of time and memory.

One JSON object a line comes in, {"arguments", "log", "seconds", "bytes"}, and one goes out,
{"code", "signal", "timed_out", "peak_bytes"}. A fork costs far less than a start with all its imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from typing import Any

CRASHED = 99  # an exception left the command line, which must never happen
POLL_S = 0.02


def import_libraries() -> None:
    """Import what a run needs, so that a forked process has it already; start no thread."""
    import imagecodecs  # noqa: F401
    import onnxruntime  # noqa: F401
    import openslide  # noqa: F401
    import shapely  # noqa: F401

    import glandseg.cli.main
    import glandseg.runtime.infer

    with contextlib.suppress(ModuleNotFoundError):
        import glandseg.training.train  # noqa: F401


def run_bounded(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command line in a forked process, and kill it when its time is over."""
    child = os.fork()
    if child == 0:
        os._exit(run_command(request))
    end, timed_out = time.monotonic() + request["seconds"], False
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end and not timed_out:
            timed_out = True
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL_S)
    return {
        "code": os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "timed_out": timed_out,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def run_command(request: dict[str, Any]) -> int:
    """Run the command line in this process and return its exit code; both streams go to the log."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    resource.setrlimit(resource.RLIMIT_AS, (request["bytes"], request["bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from glandseg.cli.main import main

    try:
        main(request["arguments"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        code = CRASHED
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    import_libraries()
    for line in sys.stdin:
        os.write(1, (json.dumps(run_bounded(json.loads(line))) + "\n").encode())
