"""The callbacks by which work reports to its caller."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]  # a line for the user
Advance = Callable[[int, int], None]  # parts done, parts in all
