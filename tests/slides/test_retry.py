"""How often reading is tried again."""

from __future__ import annotations

import errno

import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.retry import PAUSES_S, RetryPolicy, is_passing


class Failing:
    """Fails the first `times`, then gives "read"."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "read"


@pytest.fixture
def slept() -> list[float]:
    return []


def test_a_damaged_tile_is_not_waited_for(slept: list[float]) -> None:
    read = Failing(9, ValueError("not a JPEG"))
    with pytest.raises(ValueError, match="not a JPEG"):
        RetryPolicy(sleep=slept.append).retry(read)
    assert (read.calls, slept) == (1, [])


def test_a_drive_that_fails_for_a_while_is_waited_for(slept: list[float]) -> None:
    read = Failing(3, OSError(errno.EIO, "Input/output error"))
    assert RetryPolicy(sleep=slept.append).retry(read) == "read"
    assert slept == list(PAUSES_S)


def test_a_drive_that_stays_away_is_given_up(slept: list[float]) -> None:
    read = Failing(9, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(OSError, match="Input/output"):
        RetryPolicy(sleep=slept.append).retry(read)
    assert read.calls == len(PAUSES_S) + 1


def test_pauses_end_with_the_budget(slept: list[float]) -> None:
    retry_policy = RetryPolicy(1.0, slept.append)
    for _ in range(50):
        with pytest.raises(OSError):
            retry_policy.retry(Failing(9, OSError(errno.EIO, "Input/output error")))
    assert sum(slept) <= 1.0


def test_told_errors_and_lack_of_memory_pass_through(slept: list[float]) -> None:
    for error in (BadInputError("told"), MemoryError()):
        with pytest.raises(type(error)):
            RetryPolicy(sleep=slept.append).retry(Failing(1, error))
    assert slept == []


def test_what_may_pass() -> None:
    assert is_passing(OSError(errno.ESTALE, "Stale file handle"))
    assert is_passing(RuntimeError("I/O error reading file x"))
    assert not is_passing(EOFError("the file ends"))
    assert not is_passing(ValueError("Corrupt JPEG data"))
