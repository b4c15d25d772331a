"""A server for one slide and its report, on this machine alone.

It listens on 127.0.0.1, on a port that the system picks, and answers only below a random path, for requests
that name this address: another user's guess, another site's script and a rebound host name get nothing. No
path of a request is looked up on the disk. The standard library's server is enough for one reader, and needs
nothing installed.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from glandseg.runtime.view.slide_tiles import SlideTiles

ADDRESS = "127.0.0.1"
_HTML, _JSON, _JPEG = "text/html; charset=utf-8", "application/json", "image/jpeg"
_LONGEST = 9  # digits of a number


class SlideServer(ThreadingHTTPServer):
    """Serves a report and the tiles of its slide.

    Args:
        report: Page to serve.
        tiles: Tiles of the slide.

    Attributes:
        url: Address of the page, its secret path included.
    """

    daemon_threads = True

    def __init__(self, report: Path, tiles: SlideTiles) -> None:
        self.report, self.tiles = report, tiles
        self.root = f"/{secrets.token_urlsafe(16)}/"
        super().__init__((ADDRESS, 0), _Handler)
        self.host = f"{ADDRESS}:{self.server_port}"
        self.url = f"http://{self.host}{self.root}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that turns away is no error."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET; whatever is not known is not found."""

    protocol_version = "HTTP/1.1"
    server: SlideServer

    def do_GET(self) -> None:
        served = self.server
        if self.headers.get("Host") != served.host or not self.path.startswith(served.root):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        name = self.path[len(served.root) :].partition("?")[0]
        if name == "":
            self._send_page()
        elif name == "slide.json":
            self._send(json.dumps(served.tiles.describe()).encode(), _JSON)
        else:
            self._send_tile(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _send_tile(self, name: str) -> None:
        kind, *place = name.split("/")
        is_tile = kind == "tile" and len(place) == 3 and all(map(_is_number, place))
        tile = self.server.tiles.read(*map(int, place)) if is_tile else None
        if tile is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(tile, _JPEG, "private, max-age=86400")

    def _send_page(self) -> None:
        with self.server.report.open("rb") as file:
            self._begin(self.server.report.stat().st_size, _HTML)
            shutil.copyfileobj(file, self.wfile)

    def _send(self, content: bytes, kind: str, cache: str = "no-store") -> None:
        self._begin(len(content), kind, cache)
        self.wfile.write(content)

    def _begin(self, size: int, kind: str, cache: str = "no-store") -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", cache)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST


def serve(server: SlideServer, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or a signal.

    Args:
        server: Server, closed afterwards.
        ready: Called with the page's address.
    """
    with server:
        ready(server.url)
        server.serve_forever(poll_interval=0.2)
