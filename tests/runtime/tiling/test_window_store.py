"""Finished windows, kept so that a process cut off loses none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.tiling.window_store import Key, WindowStore

KEYS = [Key(0, 0, 0), Key(1, 2, 3), Key(255, 100_000, 7)]


@pytest.fixture
def windows() -> dict[Key, NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return {key: rng.integers(0, 256, (20 + i, 30), np.uint8) for i, key in enumerate(KEYS)}


@pytest.fixture
def path(tmp_path: Path, windows: dict[Key, NDArray[np.uint8]]) -> Path:
    path = tmp_path / "some.windows"
    with WindowStore(path) as store:
        for key, values in windows.items():
            store.append(key, values)
    return path


def test_windows_come_back(path: Path, windows: dict[Key, NDArray[np.uint8]]) -> None:
    with WindowStore(path) as store:
        assert len(store) == 3
        for key, values in windows.items():
            assert key in store
            found = store.get(key)
            assert found is not None
            assert np.array_equal(found, values)
        assert store.get(Key(9, 9, 9)) is None


def test_wherever_the_file_is_torn_whole_windows_stay(
    path: Path, windows: dict[Key, NDArray[np.uint8]]
) -> None:
    data = path.read_bytes()
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with WindowStore(path) as store:
            kept = [key for key in KEYS if key in store]
            assert kept == KEYS[: len(kept)]
            for key in kept:
                assert np.array_equal(store.get(key), windows[key])  # type: ignore[arg-type]
            store.append(KEYS[-1], windows[KEYS[-1]])
        with WindowStore(path) as store:
            assert np.array_equal(store.get(KEYS[-1]), windows[KEYS[-1]])  # type: ignore[arg-type]


@pytest.mark.parametrize("where", [0, 5, 20, 40, 300])
def test_a_changed_byte_ends_what_is_believed(path: Path, where: int) -> None:
    data = bytearray(path.read_bytes())
    data[where] ^= 255
    path.write_bytes(data)
    with WindowStore(path) as store:
        assert len(store) == 0
    assert path.stat().st_size == 0


def test_a_window_written_twice_counts_once(path: Path, windows: dict[Key, NDArray[np.uint8]]) -> None:
    with WindowStore(path) as store:
        store.append(KEYS[0], windows[KEYS[0]])
        assert len(store) == 3


def test_a_full_disk_leaves_the_store_as_it_was(
    path: Path, windows: dict[Key, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """A file that takes half of what it is given, then is full."""

        def __init__(self, file: object) -> None:
            self._file, self._room = file, 100

        def write(self, data: memoryview) -> int:
            if not self._room:
                raise OSError(28, "No space left on device")
            taken, self._room = self._room, 0
            return int(self._file.write(data[:taken]))  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

    size = path.stat().st_size
    with WindowStore(path) as store:
        monkeypatch.setattr(store, "_file", Full(store._file))
        with pytest.raises(OSError, match="No space"):
            store.append(Key(3, 3, 3), windows[KEYS[0]])
        assert Key(3, 3, 3) not in store
    assert path.stat().st_size == size
