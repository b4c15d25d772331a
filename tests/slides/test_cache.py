from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from glandseg.slides.cache import ArrayCache


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


def test_what_one_thread_makes_others_wait_for() -> None:
    cache, made, begun = ArrayCache(1000), list[int](), threading.Event()

    def make() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        begun.set()
        time.sleep(0.05)
        made.append(1)
        return np.zeros(3)

    def get_later() -> object:
        begun.wait()
        return cache.get("a", make)

    with ThreadPoolExecutor(4) as pool:
        later = [pool.submit(get_later) for _ in range(3)]
        first = cache.get("a", make)
    assert all(each.result() is first for each in later)
    assert made == [1]


def test_a_failure_is_each_threads_own_and_is_not_kept() -> None:
    cache, begun = ArrayCache(1000), threading.Event()

    def fail() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        begun.set()
        time.sleep(0.05)
        raise ValueError("damaged")

    def get_later() -> object:
        begun.wait()
        return cache.get("a", lambda: np.ones(3)).tolist()

    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(get_later)
        with pytest.raises(ValueError, match="damaged"):
            cache.get("a", fail)
    assert later.result() == [1, 1, 1]
    assert cache.get("a", lambda: np.zeros(1)).shape == (1,)
