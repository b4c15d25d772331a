"""The server of a slide: its page and tiles for those who know the address, and nothing else."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.runtime.view.server import ADDRESS, SlideServer
from glandseg.runtime.view.slide_tiles import SlideTiles
from glandseg.slides.open import open_slide


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SlideServer]:
    """Serve a slide of 700 x 300 px whose left half is red."""
    image = np.full((300, 700, 3), 255, np.uint8)
    image[:, :350] = (0, 0, 200)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    (tmp_path / "a.report.html").write_text("<p>report</p>", encoding="utf-8")
    with (
        open_slide(tmp_path / "a.png", 0.5) as slide,
        SlideServer(tmp_path / "a.report.html", SlideTiles(slide, 0.5)) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: SlideServer, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host or server.host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_page_and_the_layout_of_the_tiles_are_served(server: SlideServer) -> None:
    assert get(server, server.root) == (200, b"<p>report</p>")
    layout = json.loads(get(server, server.root + "slide.json")[1])
    assert layout == {"tile": 256, "um_per_px": 0.5, "width": 700, "height": 300, "levels": 3}


def test_tiles_show_their_part_of_the_slide(server: SlideServer) -> None:
    shapes = {}
    for place in ("0/0/0", "0/2/1", "1/1/0", "2/0/0"):
        code, jpeg = get(server, f"{server.root}tile/{place}")
        tile = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
        assert code == 200
        shapes[place] = tile.shape[:2], bool(tile[0, 0, 1] < 60), bool(tile[0, -1, 1] < 60)
    assert shapes == {
        "0/0/0": ((256, 256), True, True),
        "0/2/1": ((44, 188), False, False),
        "1/1/0": ((150, 94), False, False),
        "2/0/0": ((75, 175), True, False),
    }


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/3/0",
        "tile/9/0/0",
        "tile/0/-1/0",
        "tile/0/0",
        "tile/a/0/0",
        "tile/0/0/" + "9" * 5000,
        "../a.png",
        "a.png",
        "a.report.html",
        "%2e%2e/%2e%2e/etc/passwd",
        "tile/../../../etc/passwd",
    ],
)
def test_what_is_no_tile_is_not_found(server: SlideServer, path: str) -> None:
    assert get(server, server.root + path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/" + "x" * 22 + "/", "/slide.json", "//etc/passwd"])
def test_without_the_secret_path_nothing_is_found(server: SlideServer, path: str) -> None:
    assert get(server, path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1"])
def test_another_hosts_name_is_refused(server: SlideServer, host: str) -> None:
    assert get(server, server.root, host)[0] == 404


def test_only_this_machine_is_listened_to_and_paths_differ(server: SlideServer, tmp_path: Path) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with SlideServer(server.report, server.tiles) as other:
        assert other.root != server.root


def test_writing_is_refused(server: SlideServer) -> None:
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=10)
    connection.request("POST", server.root, b"x")
    assert connection.getresponse().status == 501
    connection.close()
