"""Conversion of decoded samples to 8-bit RGB."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE = (255, 255, 255)


def reduce_to_8_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Return uint8 unchanged, and uint16 or bool scaled from their full range to 0..255.

    Raises:
        ValueError: The samples have another dtype.
    """
    if samples.dtype == np.uint8:
        return np.asarray(samples, np.uint8)
    if samples.dtype == np.uint16:
        scaled: NDArray[np.uint8] = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return scaled
    if samples.dtype == np.bool_:
        return np.asarray(np.where(samples, 255, 0), np.uint8)
    raise ValueError(f"samples are {samples.dtype}; uint8 and uint16 can be shown")


def repeat_gray(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat (H, W) or (H, W, 1) uint8 as (H, W, 3) uint8 RGB."""
    return np.repeat(gray.reshape(*gray.shape[:2], 1), 3, axis=2)


def lay_on_background(
    rgba: NDArray[np.uint8], background: tuple[int, int, int] = WHITE, *, premultiplied: bool = False
) -> NDArray[np.uint8]:
    """Blend (H, W, 4) uint8 RGBA with one background color to (H, W, 3) uint8 RGB."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgb)
    cover = np.uint16(255) if premultiplied else alpha.astype(np.uint16)
    under = np.array(background, np.uint16) * (255 - alpha.astype(np.uint16))
    laid: NDArray[np.uint8] = np.minimum((rgb * cover + under + 127) // 255, 255).astype(np.uint8)
    return laid


def convert_bgr(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert OpenCV's gray, BGR or BGRA of 8 or 16 bits to (H, W, 3) uint8 RGB, alpha on white."""
    samples = reduce_to_8_bits(samples)
    if samples.ndim == 2 or samples.shape[2] == 1:
        return repeat_gray(samples)
    if samples.shape[2] == 4:
        return lay_on_background(cv2.cvtColor(samples, cv2.COLOR_BGRA2RGBA))
    return np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGR2RGB), np.uint8)


def parse_color(rrggbb: str) -> tuple[int, int, int]:
    """Parse a color of six hexadecimal digits."""
    red, green, blue = bytes.fromhex(rrggbb)
    return red, green, blue


def drop_alpha(rgba: NDArray[np.uint8], background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Convert (H, W, 4) uint8 RGBA to (H, W, 3) uint8 RGB, transparent parts on the background."""
    if cv2.minMaxLoc(cv2.extractChannel(rgba, 3))[0] < 255:
        return lay_on_background(rgba, background)
    return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
