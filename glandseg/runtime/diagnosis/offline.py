"""The proof that nothing needs the network: a slide is searched while every socket refuses."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from glandseg.runtime.diagnosis.finding import Finding, ok, problem
from glandseg.runtime.diagnosis.isolation import look_apart

TOPIC = "offline"
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
TIMEOUT_SECONDS = 300.0
_SIDE_PX, _UM_PER_PX, _SEED = 1536, 0.5, 7
_UNIX = getattr(socket, "AF_UNIX", None)
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET
_OUTWARD = ("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.", "poplib.", "imaplib.", "telnetlib.")


class NetworkError(OSError):
    """Something asked for the network."""


class Watch:
    """Refuses whatever Python code asks of the network, and keeps what was asked.

    An audit hook, so it sees every socket however it was come by; it stays until the process ends.

    Attributes:
        attempts: names of what was asked.
    """

    def __init__(self) -> None:
        self.attempts: list[str] = []
        sys.addaudithook(self._refuse)

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_OUTWARD) and not _is_local(event, arguments):
            self.attempts.append(event)
            raise NetworkError(f"{event}: refused, as glandseg must not need the network")


def look_offline(device: str) -> list[Finding]:
    """Take the look in a process without network and proxies, on a device as users write it."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    return look_apart(TOPIC, run_offline, device, timeout_s=TIMEOUT_SECONDS, environment=kept)


def run_offline(device: str) -> list[Finding]:
    """Find the glands of a drawn slide while the network refuses, and say what was asked of it.

    It cuts this process off for good; call it in one of its own.
    """
    cut_off = leave_network()
    watch = Watch()
    glands, files = _infer_drawn_slide(device)
    if watch.attempts:
        asked = ", ".join(sorted(set(watch.attempts)))
        return [problem(TOPIC, f"the network was asked for ({asked})", "Report this line.")]
    how = "no network device" if cut_off else "all of Python's sockets refusing"
    return [ok(TOPIC, f"with {how} and no proxy: slide drawn, {glands} glands found, {files} files written")]


def leave_network() -> bool:
    """Move this process into a network of its own without devices, where Linux allows it; say whether it did.

    There native code cannot reach out either. Call it before any thread is started.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        unshare = ctypes.CDLL(None).unshare
    except (OSError, AttributeError):
        return False
    # A user's own namespace gives anyone the right; root has it, and keeps its rights to files without one.
    return any(int(unshare(flags)) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def _is_local(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "socket.gethostname":
        return True
    if event == "socket.__new__":
        return bool(arguments[1] == _UNIX)
    return bool(arguments) and getattr(arguments[0], "family", None) == _UNIX


def _infer_drawn_slide(device: str) -> tuple[int, int]:
    """Draw a slide into a temporary folder, find its glands there, and count glands and files."""
    from glandseg.runtime.infer import infer_slide
    from glandseg.runtime.model_file import find_bundled
    from glandseg.runtime.network.devices import open_backend
    from glandseg.runtime.settings import InferSettings
    from glandseg.runtime.synthetic import draw_slide, write_slide

    model = find_bundled()
    with (
        tempfile.TemporaryDirectory(prefix="glandseg-") as folder,
        open_backend(model.path, device=device) as backend,
    ):
        slide = Path(folder) / "drawn.tif"
        write_slide(slide, draw_slide(_SIDE_PX, _SIDE_PX, _UM_PER_PX, _SEED)[0], _UM_PER_PX)
        result = infer_slide(slide, backend, model, InferSettings(), out=Path(folder))
    return result.glands, len(result.outputs)
