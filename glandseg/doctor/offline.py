"""Proof that nothing needs the network and that no library stores data about this machine.

A slide is segmented in a process of its own, where every socket refuses and the home folder is a new one:
files of libraries there, such as the device id of ONNX Runtime's telemetry, are found and reported.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glandseg.core.telemetry import REFUSALS
from glandseg.doctor.finding import Finding, ok, problem
from glandseg.doctor.isolation import run_isolated

TOPIC = "offline"
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
HOMES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
TIMEOUT_SECONDS = 300.0
_SIDE_PX, _UM_PER_PX, _SEED = 1536, 0.5, 7
_UNIX = getattr(socket, "AF_UNIX", None)
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET
_OUTWARD = ("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.", "poplib.", "imaplib.", "telnetlib.")


class NetworkError(OSError):
    """A call would have used the network."""


class Watch:
    """An audit hook that refuses and records every use of the network by Python code until the process ends.

    Attributes:
        attempts: Names of the refused events.
    """

    def __init__(self) -> None:
        self.attempts: list[str] = []
        sys.addaudithook(self._refuse)

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_OUTWARD) and not _is_local(event, arguments):
            self.attempts.append(event)
            raise NetworkError(f"{event}: refused, as glandseg must not need the network")


def check_telemetry() -> list[Finding]:
    """Report whether the telemetry of libraries is off in this process."""
    wrong = [name for name, value in REFUSALS.items() if os.environ.get(name) != value]
    if wrong:
        return [problem("telemetry", f"on in this process ({', '.join(wrong)} not set)", "Report this line.")]
    off = ", ".join(f"{name}={value}" for name, value in REFUSALS.items())
    return [ok("telemetry", f"off: glandseg sets {off} for itself and what it starts")]


def check_offline(device: str) -> list[Finding]:
    """Run the proof in a process without network and proxies, on a device as users write it.

    On the CPU the home folder is a new one; on a GPU it is kept, as the engines are there.
    """
    kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    if device != "cpu":
        return run_isolated(TOPIC, run_offline, device, timeout_s=TIMEOUT_SECONDS, environment=kept)
    with tempfile.TemporaryDirectory(prefix="glandseg-home-", ignore_cleanup_errors=True) as home:
        environment = replace_home(kept, home)
        return run_isolated(
            TOPIC, run_offline, device, home, timeout_s=TIMEOUT_SECONDS, environment=environment
        )


def replace_home(environment: Mapping[str, str], home: str) -> dict[str, str]:
    """Return an environment with another home folder, and all folders of settings and caches in it."""
    kept = {name: value for name, value in environment.items() if not name.startswith("XDG_")}
    return kept | dict.fromkeys(HOMES, home)


def run_offline(device: str, home: str = "") -> list[Finding]:
    """Find the glands of a synthetic slide without a network, and report every use of it.

    It permanently disconnects this process; call it in one of its own.

    Args:
        device: Device, as users write it.
        home: New home folder, which must stay empty; "" where that of the user is kept.
    """
    cut_off = leave_network()
    watch = Watch()
    glands, files = _infer_drawn_slide(device)
    if watch.attempts:
        uses = ", ".join(sorted(set(watch.attempts)))
        return [problem(TOPIC, f"the network was used ({uses})", "Report this line.")]
    if home and (written := list_files(Path(home))):
        return [
            problem(TOPIC, f"files were left in the home folder ({', '.join(written)})", "Report this line.")
        ]
    how = "no network device" if cut_off else "all of Python's sockets refusing"
    clean = ", nothing left in the home folder" if home else ""
    return [
        ok(
            TOPIC,
            f"with {how} and no proxy: slide drawn, {glands} glands found, {files} files written{clean}",
        )
    ]


def list_files(folder: Path, most: int = 5) -> list[str]:
    """List the relative paths of at most `most` files in a folder."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return found[:most]


def leave_network() -> bool:
    """Move this process into a network without devices, and return whether Linux allows it.

    This disconnects native code too. Call it before any thread is started.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        unshare = ctypes.CDLL(None).unshare
    except (OSError, AttributeError):
        return False
    # Users may do so in a user namespace; root may without one, which keeps its rights to files.
    return any(int(unshare(flags)) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def _is_local(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "socket.gethostname":
        return True
    if event == "socket.__new__":
        return bool(arguments[1] == _UNIX)
    return bool(arguments) and getattr(arguments[0], "family", None) == _UNIX


def _infer_drawn_slide(device: str) -> tuple[int, int]:
    """Draw a slide into a temporary folder, find its glands, and count glands and files."""
    from glandseg.model.files import find_bundled
    from glandseg.model.open_backend import open_backend
    from glandseg.runtime.infer import infer_slide
    from glandseg.runtime.settings import InferSettings
    from glandseg.synthetic import draw_slide, write_slide

    model = find_bundled()
    with (
        tempfile.TemporaryDirectory(prefix="glandseg-") as folder,
        open_backend(model.path, device=device) as backend,
    ):
        slide = Path(folder) / "drawn.tif"
        write_slide(slide, draw_slide(_SIDE_PX, _SIDE_PX, _UM_PER_PX, _SEED)[0], _UM_PER_PX)
        result = infer_slide(slide, backend, model, InferSettings(), out=Path(folder))
    return result.glands, len(result.outputs)
