"""A cache of arrays that drops the least recently used first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

from numpy.typing import NDArray


class ArrayCache:
    """A cache bounded in bytes; safe for threads.

    Threads wait for an array that another one is making. The latest array is kept even if it alone exceeds
    the bound.

    Args:
        max_bytes: Bound on the arrays' bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._making: dict[Hashable, Future[NDArray[Any]]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array of a key, made now unless it is cached; it is the cache's, so do not write to it.

        Raises:
            Exception: Whatever `make` raises, in each thread separately.
        """
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
            others = self._making.get(key)
            if others is None:
                mine = self._making[key] = Future()
        if others is None:
            return self._make(key, make, mine)
        return make() if others.exception() else others.result()

    def _make(
        self, key: Hashable, make: Callable[[], NDArray[Any]], mine: Future[NDArray[Any]]
    ) -> NDArray[Any]:
        try:
            array = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(
                RuntimeError(type(error).__name__)
            )  # without the original's frames, which hold pixels
            raise
        with self._lock:
            self._keep(key, array)
            del self._making[key]
        mine.set_result(array)
        return array

    def _keep(self, key: Hashable, array: NDArray[Any]) -> None:
        self._arrays[key] = array
        self._bytes += array.nbytes
        while self._bytes > self.max_bytes and len(self._arrays) > 1:
            self._bytes -= self._arrays.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Drop all arrays."""
        with self._lock:
            self._arrays.clear()
            self._bytes = 0
