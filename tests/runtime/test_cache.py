from __future__ import annotations

import numpy as np

from glandseg.runtime.cache import ArrayCache


def test_least_recently_used_goes_first() -> None:
    cache, made = ArrayCache(20), list[int]()

    def get(key: int) -> None:
        def make() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
            made.append(key)
            return np.zeros(10, np.uint8)

        cache.get(key, make)

    for key in (1, 2, 1, 3, 1, 2):
        get(key)
    assert made == [1, 2, 3, 2]
    cache.clear()
    get(2)
    assert made == [1, 2, 3, 2, 2]


def test_an_array_over_the_bound_is_kept_until_the_next() -> None:
    cache = ArrayCache(1)
    first = cache.get("a", lambda: np.zeros(100))
    assert cache.get("a", lambda: np.ones(100)) is first
    cache.get("b", lambda: np.ones(100))
    assert cache.get("a", lambda: np.ones(100)) is not first
