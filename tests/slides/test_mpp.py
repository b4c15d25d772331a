"""Which um/px is believed, and which conflicts are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.mpp import (
    Power,
    Resolution,
    Statement,
    decide_mpp,
    describe_lack,
    describe_statements,
    warn_of_scale,
)

FILE = Path("a.tif")
OME, TAGS = "OME-XML", "TIFF resolution tags"


def state(um_per_px: float, source: str = OME) -> Statement:
    return Statement(source, um_per_px, um_per_px)


def test_the_first_that_speaks_is_taken() -> None:
    assert decide_mpp(FILE, [state(0.51), state(0.5, TAGS)]) == Resolution(0.51, OME)
    assert decide_mpp(FILE, []) is None
    assert decide_mpp(FILE, [], Power("objective", 40)) is None


def test_both_axes_are_averaged() -> None:
    found = decide_mpp(FILE, [Statement(OME, 0.25, 0.26)])
    assert found is not None
    assert found.um_per_px == pytest.approx(0.255)


def test_axes_more_than_a_tenth_apart_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"a\.tif.*not square.*--mpp"):
        decide_mpp(FILE, [Statement(OME, 0.25, 0.28)])


def test_sources_more_than_a_tenth_apart_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"OME-XML says 0\.25 um/px, TIFF resolution tags 0\.5.*--mpp"):
        decide_mpp(FILE, [state(0.25), state(0.5, TAGS)])


def test_a_later_source_in_conflict_is_refused_too() -> None:
    with pytest.raises(BadInputError, match="third"):
        decide_mpp(FILE, [state(0.25), state(0.26, TAGS), state(0.3, "third")])


@pytest.mark.parametrize("absurd", [0.049, 20.1, 28.97])
def test_absurd_values_are_told_and_not_used(absurd: float) -> None:
    assert decide_mpp(FILE, [state(absurd)]) is None
    found = decide_mpp(FILE, [state(absurd), state(0.5, TAGS)])
    assert found is not None
    assert (found.um_per_px, found.source) == (0.5, TAGS)
    assert found.warnings == (f"OME-XML: {absurd:g} um/px, absurd: not used",)


@pytest.mark.parametrize(
    ("um_per_px", "power"), [(0.2527, 40), (0.499, 20), (0.2637, 40), (0.228, 40), (1.0, 10)]
)
def test_usual_powers_agree(um_per_px: float, power: float) -> None:
    found = decide_mpp(FILE, [state(um_per_px)], Power("objective", power, apparent=True))
    assert found == Resolution(um_per_px, OME)


def test_an_objective_twice_off_warns_as_cameras_differ() -> None:
    found = decide_mpp(FILE, [state(0.234)], Power("objective-power", 20))
    assert found is not None
    assert found.um_per_px == 0.234
    assert "objective-power 20x, which is about 0.5 um/px" in found.warnings[0]


def test_an_apparent_power_twice_off_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"a\.tif: OME-XML says 0\.234 um/px, AppMag 20x.*--mpp"):
        decide_mpp(FILE, [state(0.234)], Power("AppMag", 20, apparent=True))


def test_an_objective_three_times_off_is_refused() -> None:
    with pytest.raises(BadInputError, match="--mpp"):
        decide_mpp(FILE, [state(1.0)], Power("objective-power", 40))


def test_the_given_value_overrides_every_conflict_and_says_so() -> None:
    found = decide_mpp(FILE, [state(0.25), state(0.5, TAGS)], Power("AppMag", 5, apparent=True), given=0.5)
    assert found == Resolution(0.5, "--mpp", ("--mpp 0.5 overrides OME-XML: 0.25 um/px",))
    assert decide_mpp(FILE, [Statement(OME, 0.25, 0.5)], given=0.3) is not None


@pytest.mark.parametrize("wrong", [0.0, 0.049, 20.1, float("nan"), float("inf"), -1.0])
def test_an_absurd_given_value_is_refused(wrong: float) -> None:
    with pytest.raises(BadInputError, match="--mpp"):
        decide_mpp(FILE, [], given=wrong)


def test_everything_said_is_described() -> None:
    said = describe_statements([Statement(OME, 0.25, 0.26), state(29, TAGS)], Power("objective", 40))
    assert said == ("OME-XML: 0.25 x 0.26 um/px", f"{TAGS}: 29 um/px, absurd", "objective: 40x")
    assert describe_lack(FILE, said[1:2]).startswith(f"a.tif: says only {TAGS}: 29 um/px, absurd, so")
    assert "does not say its microns per pixel" in describe_lack(FILE, ())


def test_only_a_slide_coarser_than_the_model_is_warned_of() -> None:
    assert warn_of_scale(0.25, 0.62) == warn_of_scale(0.7, 0.62) == ()
    assert warn_of_scale(1.24, 0.62) == ("the slide's px are 2.0 times the model's: details are missing",)
