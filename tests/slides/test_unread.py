"""The list of unread regions."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import shapely

from glandseg.core.errors import BadInputError
from glandseg.slides.unread import UnreadRegion, UnreadRegions, mark_rectangles


def test_entries_have_one_order_and_no_doubles() -> None:
    one, other = UnreadRegions(), UnreadRegions()
    places = [(8, 0, 4, 4, "b"), (0, 0, 4, 4, "b"), (0, 8, 4, 4, "a"), (0, 0, 4, 4, "a")]
    for place in places:
        one.add(*place)
    for place in reversed(places):
        other.add(*place)
    assert one.entries == other.entries
    assert one.entries[0] == UnreadRegion(0, 0, 4, 4, "a")
    assert len(one.entries) == 3


def test_a_killed_run_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "unread.jsonl"
    first = UnreadRegions(path)
    first.add(1, 2, 3, 4, "bad\ntile µ")
    first.add(5, 6, 7, 8, "end missing")
    with path.open("ab") as file:
        file.write(b'{"y_l0": 99, "x_l')
    second = UnreadRegions(path)
    assert second.entries == first.entries
    second.add(9, 9, 9, 9, "late")
    assert UnreadRegions(path).entries == second.entries
    assert len(second.entries) == 3


def test_a_known_entry_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "unread.jsonl"
    unread_regions = UnreadRegions(path)
    for _ in range(3):
        unread_regions.add(1, 2, 3, 4, "bad")
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("text", ["nonsense\n", "[1]\n", '{"x_l0": 1}\n'])
def test_a_file_that_is_no_unread_regions_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "unread.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"unread\.jsonl: is not a list of unread regions"):
        UnreadRegions(path)


def test_threads_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "unread.jsonl"
    unread_regions = UnreadRegions(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: unread_regions.add(i % 100, 0, 1, 1, "bad"), range(400)))
    assert len(unread_regions.entries) == 100
    assert UnreadRegions(path).entries == unread_regions.entries


def test_every_px_that_touches_is_marked() -> None:
    unread_regions = UnreadRegions()
    unread_regions.add(9, 20, 12, 10, "bad")  # 4.5 to 10.5 px across, 10 to 15 px down
    mask = unread_regions.mask(2, 8, 10, 20, 2.0)
    assert mask is not None
    assert np.flatnonzero(mask.any(axis=0)).tolist() == list(range(2, 9))
    assert np.flatnonzero(mask.any(axis=1)).tolist() == list(range(2, 7))
    assert unread_regions.mask(11, 8, 10, 20, 2.0) is None
    assert unread_regions.mask(0, 0, 4, 100, 2.0) is None


def test_marks_do_not_depend_on_how_windows_are_cut() -> None:
    places = np.random.default_rng(0).integers(1, 60, (20, 4))
    whole = mark_rectangles(places, (0, 0, 50, 40), 2.48)
    assert whole is not None
    for y in range(0, 40, 10):
        for x in range(0, 50, 10):
            part = mark_rectangles(places, (x, y, 10, 10), 2.48)
            expected = whole[y : y + 10, x : x + 10]
            assert np.array_equal(expected, part if part is not None else np.zeros((10, 10), np.bool_))


def test_an_entry_added_after_a_look_is_seen() -> None:
    unread_regions = UnreadRegions()
    assert unread_regions.mask(0, 0, 4, 4, 1.0) is None
    unread_regions.add(0, 0, 1, 1, "bad")
    assert unread_regions.mask(0, 0, 4, 4, 1.0) is not None


def test_share_of_tissue() -> None:
    unread_regions, tissue = UnreadRegions(), np.zeros((10, 10), np.bool_)
    unread_regions.add(0, 0, 40, 20, "bad")  # the upper half
    assert unread_regions.measure_share(tissue, 4.0) == 0
    tissue[4:8] = True
    assert unread_regions.measure_share(tissue, 4.0) == 0.25
    assert UnreadRegions().measure_share(tissue, 4.0) == 0


def test_features_join_neighbours_and_hold_still() -> None:
    unread_regions = UnreadRegions()
    for place in ((0, 0), (240, 0), (1000, 0)):
        unread_regions.add(*place, 240, 240, "bad")
    unread_regions.add(240, 240, 240, 240, "cut")
    features = unread_regions.list_features("abc")
    assert features == unread_regions.list_features("abc")
    areas = [shapely.from_geojson(json.dumps(feature["geometry"])).area for feature in features]
    assert sorted(areas) == [240**2, 240**2, 2 * 240**2]
    assert len({feature["id"] for feature in features}) == 3
    assert features[-1]["properties"]["metadata"] == {"reason": "cut"}
    assert features[0]["id"] != unread_regions.list_features("def")[0]["id"]
