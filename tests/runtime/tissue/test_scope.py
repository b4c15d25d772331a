"""How far a slide looks from those that a model learned from."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED
from glandseg.runtime.tissue.appearance import SIDE_PX, measure_appearance
from glandseg.runtime.tissue.scope import Scope, fit_scope, read_scope, write_scope
from glandseg.synthetic import draw_slide

Pixels = NDArray[np.uint8]
UM_PER_PX = 1.3


def cut(seed: int) -> list[Pixels]:
    image, _ = draw_slide(4 * SIDE_PX, 4 * SIDE_PX, UM_PER_PX, seed)
    corners = range(0, 4 * SIDE_PX, SIDE_PX)
    return [image[y : y + SIDE_PX, x : x + SIDE_PX] for y in corners for x in corners]


def look(windows: list[Pixels]) -> NDArray[np.float64]:
    return np.array([measure_appearance(window) for window in windows])


@pytest.fixture(scope="module")
def scope() -> Scope:
    """The scope of a model that learned from synthetic tissue."""
    return fit_scope([look([window]) for seed in range(1, 13) for window in cut(seed)], "synthetic tissue")


def turn_hues(window: Pixels) -> Pixels:
    hsv = cv2.cvtColor(window, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 30) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def blur(window: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(window, (0, 0), 4), np.uint8)


def test_tissue_like_that_learned_from_gets_no_warning(scope: Scope) -> None:
    distance = scope.measure(look(cut(99)))
    assert distance.list_warnings() == ()
    assert 0 < distance.stain < distance.stain_limit
    assert distance.windows == 16


def test_other_colors_get_a_warning_with_the_figure(scope: Scope) -> None:
    distance = scope.measure(look([turn_hues(window) for window in cut(99)]))
    (warning,) = distance.list_warnings()
    assert warning.startswith(
        f"colors unlike those that the model learned from (distance {distance.stain:.1f}, "
    )


def test_blur_gets_a_warning_and_sharpness_none(scope: Scope) -> None:
    distance = scope.measure(look([blur(window) for window in cut(99)]))
    assert any(warning.startswith("less sharp than ") for warning in distance.list_warnings())
    sharp = [np.clip(2.0 * w.astype(float) - blur(w), 0, 255).astype(np.uint8) for w in cut(99)]
    assert not any("sharp" in warning for warning in scope.measure(look(sharp)).list_warnings())


def test_a_quarter_of_familiar_windows_is_enough(scope: Scope) -> None:
    windows = cut(99)
    mixed = windows[:8] + [turn_hues(window) for window in windows[8:]]
    assert scope.measure(look(mixed)).list_warnings() == ()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_window_has_finite_numbers(value: int) -> None:
    assert np.isfinite(measure_appearance(np.full((SIDE_PX, SIDE_PX, 3), value, np.uint8))).all()
    assert np.isfinite(measure_appearance(np.full((3, 5, 3), value, np.uint8))).all()


def test_density_scales_and_hue_stays() -> None:
    """A stain twice as strong has the same hue."""
    rng = np.random.default_rng(0)
    density = rng.uniform(0.2, 0.8, (SIDE_PX, SIDE_PX, 1)) * np.array([0.65, 0.7, 0.29])
    weak, strong = (np.rint(256 * np.exp(-k * density) - 1).astype(np.uint8) for k in (1.0, 2.0))
    assert np.abs(measure_appearance(weak)[:4] - measure_appearance(strong)[:4]).max() < 0.02


def test_a_scope_reads_back(scope: Scope, tmp_path: Path) -> None:
    write_scope(scope, tmp_path / "m.onnx")
    for name in ("m.onnx", "m.fp16.onnx", "m.int8.onnx"):
        again = read_scope(tmp_path / name)
        assert again is not None
        assert again.measure(look(cut(99))) == scope.measure(look(cut(99)))
    assert read_scope(tmp_path / "other.onnx") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"mean": [1]}', '{"mean": "x", "precision": 1}'])
def test_a_damaged_scope_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.scope.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"m.scope.json: damaged"):
        read_scope(tmp_path / "m.onnx")


def test_the_bundled_model_has_a_scope() -> None:
    scope = read_scope(BUNDLED)
    assert scope is not None
    assert scope.images == 1427
    assert json.loads(BUNDLED.with_suffix(".scope.json").read_text(encoding="utf-8"))["source"].startswith(
        "EBHI"
    )
