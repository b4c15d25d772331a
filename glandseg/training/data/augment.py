"""Random changes of geometry and stain, so that a network of one laboratory works on another's slides.

Why in optical density: stains absorb light, so density is linear in their strength and RGB is not; scaling
each stain imitates another laboratory, where brightness alone would not.
Why a mosaic and glass: images of data sets are full of tissue, so the network would otherwise see abrupt
borders and empty glass for the first time on slides.
Labels are resampled by nearest neighbour, for 127 between gland and non-gland means nothing; only maps of
probabilities and weights beside them are interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.validation import refuse_outside

IGNORED = 255
# Optical density of haematoxylin, eosin and the rest in red, green, blue (Ruifrok and Johnston 2001).
STAINS_OD = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], np.float32)
UNMIX = np.linalg.inv(STAINS_OD).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Strength of the augmentation.

    Attributes:
        scale_min: Minimum enlargement.
        scale_max: Maximum enlargement.
        rotation: Maximum angle beyond quarter turns, in degrees.
        stain: Maximum relative change of each stain's strength.
        mixing: Maximum share of a channel's optical density that leaks into another, which turns the hues.
        color: Maximum relative change of brightness, contrast and saturation; a third of it for the hue.
        blur: Maximum Gaussian sigma, in px; half of the images stay sharp.
        mosaic: Share of images that are composed of four, 0 to 1.
        glass: Share of images with an empty side, 0 to 1.
    """

    scale_min: float = 0.6
    scale_max: float = 2.2
    rotation: float = 30.0
    stain: float = 0.45
    mixing: float = 0.2
    color: float = 0.2
    blur: float = 1.2
    mosaic: float = 0.25
    glass: float = 0.08

    def __post_init__(self) -> None:
        """Raise if a value is out of range."""
        refuse_outside(self, 0.05, 20, "scale_min", "scale_max")
        if self.scale_min > self.scale_max:
            raise BadInputError(f"scale_max: at least scale_min={self.scale_min}. Received: {self.scale_max}")
        refuse_outside(self, 0, 180, "rotation")
        refuse_outside(self, 0, 5, "stain")
        refuse_outside(self, 0, 1, "mixing", "color", "mosaic", "glass")
        refuse_outside(self, 0, 100, "blur")


def place_randomly(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    size: int,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut a randomly turned, flipped and scaled square out of an image, reflected beyond its border.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 labels; or (H, W, C), labels and maps of probabilities or weights, which alone are
            interpolated.
        size: Side of the square, in px.
        settings: Strength of the augmentation.
        rng: Random generator.

    Returns:
        (size, size, 3) uint8 RGB, and the mask of the square, (size, size) or (size, size, C) uint8.
    """
    height, width = mask.shape[:2]
    scale = np.exp(rng.uniform(np.log(settings.scale_min), np.log(settings.scale_max)))
    angle = np.deg2rad(90 * rng.integers(4) + rng.uniform(-settings.rotation, settings.rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    turn[:, 0] *= rng.choice((-1, 1))
    # The centre is drawn so that the square stays inside the image as far as possible.
    slack = np.maximum(np.array([width, height]) - size / scale, 0) / 2
    centre = np.array([width - 1, height - 1]) / 2 + rng.uniform(-1, 1, 2) * slack
    matrix = np.column_stack([turn, centre - turn @ np.full(2, (size - 1) / 2)])
    if mask.ndim == 2:
        labels = _warp(mask, matrix, size, cv2.INTER_NEAREST)
    else:
        first, *maps = (np.asarray(plane, np.uint8) for plane in cv2.split(mask))
        smooth = (_warp(plane, matrix, size, cv2.INTER_LINEAR) for plane in maps)
        labels = np.dstack([_warp(first, matrix, size, cv2.INTER_NEAREST), *smooth])
    return _warp(image, matrix, size, cv2.INTER_LINEAR), labels


def _warp(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, interpolation: int
) -> NDArray[np.uint8]:
    flags, border = cv2.WARP_INVERSE_MAP | interpolation, cv2.BORDER_REFLECT_101
    return np.asarray(cv2.warpAffine(pixels, matrix, (size, size), flags=flags, borderMode=border), np.uint8)


def change_stain(
    image: NDArray[np.uint8], settings: AugmentSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change stains, light and sharpness randomly; (H, W, 3) uint8 RGB in and out."""
    density = -np.log((image.astype(np.float32) + 1) / 256) @ UNMIX
    strength = np.exp(rng.uniform(-settings.stain, settings.stain, 3)).astype(np.float32)
    offset = rng.uniform(-0.1, 0.1, 3).astype(np.float32) * settings.stain
    leak = np.eye(3) + rng.uniform(-settings.mixing, settings.mixing, (3, 3))
    light = np.exp(-(density * strength + offset) @ (STAINS_OD @ leak).astype(np.float32))  # 0..1
    gain, contrast, saturation = (1 + rng.uniform(-settings.color, settings.color, 3)).astype(np.float32)
    middle, grey = light.mean(), light.mean(axis=2, keepdims=True)
    light = gain * (middle + contrast * (grey + saturation * (light - grey) - middle))
    light *= 1 + rng.uniform(-settings.color, settings.color, 3).astype(np.float32) / 3
    if rng.random() < 0.5:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.1, max(settings.blur, 0.11)))
    return np.asarray(np.clip(255 * light, 0, 255), np.uint8)


def put_together(
    images: list[NDArray[np.uint8]], masks: list[NDArray[np.uint8]], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Compose a mosaic of four squares, each in a quadrant of its own around a random centre."""
    size = len(masks[0])
    x, y = rng.integers(size // 4, 3 * size // 4, 2)
    image, mask = images[0].copy(), masks[0].copy()
    quadrants = (
        (slice(0, y), slice(x, size)),
        (slice(y, size), slice(0, x)),
        (slice(y, size), slice(x, size)),
    )
    for place, other, labels in zip(quadrants, images[1:], masks[1:], strict=True):
        image[place], mask[place] = other[place], labels[place]
    return image, mask


def lay_glass(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Replace one side of an image, beyond a random line, by empty glass without gland."""
    size = len(mask)
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0, size / 2)
    y, x = np.mgrid[:size, :size] - size / 2
    beyond = x * np.cos(angle) + y * np.sin(angle) > distance
    image, mask = image.copy(), mask.copy()
    image[beyond] = np.clip(rng.uniform(225, 250) + rng.normal(0, 2, (int(beyond.sum()), 3)), 0, 255)
    mask[beyond] = 0
    return image, mask
