"""Where mpp (um/px) is decided: a file's statements, when they are believed, and when they conflict.

A wrong um/px raises no error later: the model sees tissue at the wrong size, and every area is off by the
square. Files state it in several places, which other programs copy without adapting them. So all are read,
and the first in the reader's order is taken once the others agree:

- A value outside 0.05 to 20 um/px is absurd: it is reported, and never used.
- Axes more than 10 % apart are refused: no single um/px fits the image.
- Two values more than 10 % apart are refused: one of them is wrong, and nothing shows which.
- The objective's power is nominal, 10 um/px over the power (40x is about 0.25), as sensors and adapters
  differ: 3DHISTECH's scanners have 0.23 um/px at 20x. It never replaces a value in um. 1.5 times off warns,
  3 times off is refused. Aperio's is the image's apparent power, derived from its um/px, so there 1.5 times
  off is refused: the image was shrunk, or its description belongs to another.

`--mpp` overrides all of this; the file's statements are still recorded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.core.units import HIGHEST_UM_PER_PX, LOWEST_UM_PER_PX, is_believable

TOLERANCE = 0.10  # between two statements about one image
UM_TIMES_POWER = 10.0
POWER_WARNS, POWER_REFUSES = 1.5, 3.0  # ratios between um/px and what an objective's power suggests
COARSE = 1.25  # ratio of a slide's um/px to the model's above which details are missing


@dataclass(frozen=True)
class Resolution:
    """The um/px of full resolution and its source, such as "--mpp" or "OME-XML".

    Attributes:
        um_per_px: Above 0.
        source: Name of the source.
        warnings: What a reader of the outputs should know about the value.
    """

    um_per_px: float
    source: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One source's um/px along both axes, as stored.

    Attributes:
        source: Name of the source.
        x: um/px along x.
        y: um/px along y.
        unknown_unit: Unit of both values where it is unknown; empty for um.
    """

    source: str
    x: float
    y: float
    unknown_unit: str = ""

    @property
    def um_per_px(self) -> float:
        """Mean of both axes."""
        return (self.x + self.y) / 2

    @property
    def is_believable(self) -> bool:
        """Whether both axes are in um and within a microscope's range."""
        return not self.unknown_unit and is_believable(self.x) and is_believable(self.y)

    def describe(self) -> str:
        """Return it in words."""
        size = f"{self.x:g}" if self.x == self.y else f"{self.x:g} x {self.y:g}"
        if self.unknown_unit:
            return f"{self.source}: {size} {self.unknown_unit!r} per px, an unknown unit"
        return f"{self.source}: {size} um/px{'' if self.is_believable else ', absurd'}"


@dataclass(frozen=True)
class Power:
    """The objective's power that a source names, such as 40; `apparent` if all magnification is in it."""

    source: str
    power: float
    apparent: bool = False

    def describe(self) -> str:
        """Return it in words."""
        return f"{self.source}: {self.power:g}x"


def decide_mpp(
    path: Path, statements: Sequence[Statement], power: Power | None = None, given: float | None = None
) -> Resolution | None:
    """Decide a slide's um/px: the user's value, else the first believable statement once all agree.

    Args:
        path: Slide, for messages.
        statements: Statements of the file, the most trusted first.
        power: The objective's power, if known.
        given: The user's um/px (`--mpp`).

    Returns:
        Resolution; None without any believable value.

    Raises:
        BadInputError: The given value is absurd; or, without one, axes or sources conflict.
    """
    believed = [statement for statement in statements if statement.is_believable]
    if given is not None:
        return _take_given(given, believed)
    for statement in believed:
        if differ(statement.x, statement.y):
            raise BadInputError(
                f"{path}: pixels are not square ({statement.x:g} x {statement.y:g} um by "
                f"{statement.source}); they may differ by {TOLERANCE:.0%}. Give the true value with --mpp."
            )
    for other in believed[1:]:
        if differ(believed[0].um_per_px, other.um_per_px):
            raise BadInputError(
                f"{path}: {believed[0].source} says {believed[0].um_per_px:g} um/px, {other.source} "
                f"{other.um_per_px:g}; they may differ by {TOLERANCE:.0%}. Give the true value with --mpp."
            )
    if not believed:
        return None
    absurd = [f"{s.describe()}: not used" for s in statements if not s.is_believable]
    found = believed[0]
    return Resolution(found.um_per_px, found.source, (*absurd, *_compare_power(path, found, power)))


def describe_statements(statements: Sequence[Statement], power: Power | None = None) -> tuple[str, ...]:
    """Return all statements in words, for the record and for messages."""
    described = tuple(statement.describe() for statement in statements)
    return (*described, power.describe()) if power else described


def describe_lack(path: Path, statements: Sequence[str]) -> str:
    """Return the message for a slide of unknown um/px, with its unusable statements."""
    lack = f"says only {'; '.join(statements)}" if statements else "does not say its microns per pixel"
    return f"{path}: {lack}, so its scale is unknown. Give --mpp, such as 0.5 for 20x."


def warn_of_scale(slide_um_per_px: float, model_um_per_px: float) -> tuple[str, ...]:
    """Warn where a slide is too coarse for a model, whose details it lacks.

    A finer slide is averaged down and needs no warning. No file states reliably which tissue a slide shows,
    so nothing is compared with the tissue on the model card.
    """
    times = slide_um_per_px / model_um_per_px
    if times <= COARSE:
        return ()
    return (f"the slide's px are {times:.1f} times the model's: details are missing",)


def differ(a: float, b: float) -> bool:
    """Return whether two values in um/px are more than 10 % apart."""
    return max(a, b) > min(a, b) * (1 + TOLERANCE)


def _take_given(um_per_px: float, believed: Sequence[Statement]) -> Resolution:
    if not (math.isfinite(um_per_px) and is_believable(um_per_px)):
        raise BadInputError(
            f"--mpp {um_per_px:g}: microns per pixel lie between {LOWEST_UM_PER_PX:g} and "
            f"{HIGHEST_UM_PER_PX:g}. Give the scanner's value, such as 0.25 (40x) or 0.5 (20x)."
        )
    against = [s.describe() for s in believed if differ(s.x, um_per_px) or differ(s.y, um_per_px)]
    return Resolution(um_per_px, "--mpp", tuple(f"--mpp {um_per_px:g} overrides {said}" for said in against))


def _compare_power(path: Path, found: Statement, power: Power | None) -> tuple[str, ...]:
    if power is None or power.power <= 0:
        return ()
    expected = UM_TIMES_POWER / power.power
    off = max(expected, found.um_per_px) / min(expected, found.um_per_px)
    if off < POWER_WARNS:
        return ()
    conflict = (
        f"{found.source} says {found.um_per_px:g} um/px, {power.source} {power.power:g}x, "
        f"which is about {expected:.2g} um/px"
    )
    if off >= (POWER_WARNS if power.apparent else POWER_REFUSES):
        raise BadInputError(f"{path}: {conflict}. Give the true value with --mpp.")
    return (f"{conflict}: taken as it is, as cameras differ; check a length, or give --mpp",)
