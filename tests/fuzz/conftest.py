"""The server that runs command lines within bounds, and the model and slide that they are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import DrawDisks
from tests.fuzz.intact import Pixels
from tests.fuzz.judge import End

SERVER = Path(__file__).with_name("bounded_server.py")
SECONDS = 60.0  # for what takes less than one; a loaded machine is slow, and a hang never ends
BYTES = 6 << 30  # of address space
DISKS = [(300.0, 250.0, 120.0), (700.0, 300.0, 90.0), (500.0, 600.0, 150.0)]

RunBounded = Callable[..., End]


@pytest.fixture(scope="session")
def run_bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunBounded]:
    """Return a function that runs the command line in a process of its own and says how it ended."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork a process")
    home = tmp_path_factory.mktemp("home")
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    environment = {**os.environ, **one_thread, "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    log = home / "log"
    with subprocess.Popen(
        [sys.executable, str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        requests, answers = server.stdin, server.stdout
        assert requests is not None
        assert answers is not None

        def run(*arguments: object) -> End:
            request = {
                "arguments": [str(argument) for argument in arguments],
                "log": str(log),
                "seconds": SECONDS,
                "bytes": BYTES,
            }
            print(json.dumps(request), file=requests, flush=True)
            answer = json.loads(answers.readline())
            return End(**answer, lines=tuple(log.read_text(errors="replace").splitlines()))

        yield run
        requests.close()


@pytest.fixture(scope="session")
def fuzz_image(draw_disks: DrawDisks) -> Pixels:
    """Return the image that every intact slide holds: three glands with a lumen in one."""
    return draw_disks(1000, 800, DISKS, [(500.0, 600.0, 60.0)])
