"""Crypts as shapes: a spine with a wavy rim, packed into tissue without overlap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.synthetic.canvas import F32, F64, U8, fill_mask

GRID_UM = 4.0
"""Side of a cell of the grid that crypts are packed on."""
_REACH_UM = 160.0


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How close crypts lie.

    Attributes:
        candidates: Random places of which a crypt takes the tightest.
        gap_um: Range of the gap to the nearest other crypt; below 0 they overlap.
        growth: Maximum factor by which a crypt grows to leave no more than its gap.
    """

    candidates: int
    gap_um: tuple[float, float]
    growth: float


LOOSE = Packing(candidates=32, gap_um=(8.0, 15.0), growth=1.0)
CROWDED = Packing(candidates=128, gap_um=(-4.0, 6.0), growth=1.4)


@dataclass(frozen=True, kw_only=True)
class Crypt:
    """One crypt as cut by the microtome; lengths in um.

    Attributes:
        spine_um: Curve that the lumen follows, (K, 2) xy; short in a cross-cut.
        radius_um: Mean distance from the spine to the rim.
        wave: (3, 2): amplitude (share of the radius) and phase of the rim's slow waves.
        lumen: Radius of the lumen as a share of the rim's.
        goblets: Share of cells that hold mucin, 0-1.
        tone: Darkness of its cells; 1 is usual.
        halo_um: Width of the white gap around it.
    """

    spine_um: F64
    radius_um: float
    wave: F64
    lumen: float
    goblets: float
    tone: float
    halo_um: float

    def trace_spokes(self, step_um: float) -> tuple[F64, F64, F64]:
        """Walk round the rim in steps of about `step_um`.

        Returns:
            Feet (N, 2) xy on the spine, outward unit directions (N, 2) xy, and lengths (N,) of the spokes
            from the spine to the rim.
        """
        along = np.gradient(self.spine_um, axis=0)
        angles = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
        cap = np.linspace(-np.pi / 2, np.pi / 2, 24)
        ends = (np.repeat(self.spine_um[-1:], 24, axis=0), np.repeat(self.spine_um[:1], 24, axis=0))
        feet = np.concatenate([self.spine_um, ends[0], self.spine_um[::-1], ends[1]])
        turns = np.concatenate(
            [angles - np.pi / 2, angles[-1] + cap, angles[::-1] + np.pi / 2, angles[0] + np.pi + cap]
        )
        return self._walk(feet, np.unwrap(turns), step_um)

    def _walk(self, feet: F64, turns: F64, step_um: float) -> tuple[F64, F64, F64]:
        rim = feet + self.radius_um * _unit(turns)
        gone = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(rim, axis=0).T))])
        stations = np.linspace(0.0, gone[-1], max(12, int(gone[-1] / step_um)), endpoint=False)
        foot = np.stack([np.interp(stations, gone, feet[:, axis]) for axis in (0, 1)], axis=1)
        turn = 2.0 * np.pi * stations / gone[-1]
        counts = np.maximum(1, round(gone[-1] / 350.0)) * np.array([2, 3, 5])
        waves = [size * np.cos(k * turn + phase) for k, (size, phase) in zip(counts, self.wave, strict=True)]
        lengths = self.radius_um * (1.0 + np.sum(waves, axis=0))
        return foot, _unit(np.interp(stations, gone, turns)), lengths

    def outline_um(self, share: float = 1.0) -> F64:
        """Return the curve (N, 2) xy at `share` of the way from the spine to the rim."""
        feet, directions, lengths = self.trace_spokes(2.0)
        return feet + directions * (share * lengths)[:, None]


def place_crypts(
    ground: NDArray[np.bool_], origin_um: float, rng: np.random.Generator, packing: Packing = LOOSE
) -> list[Crypt]:
    """Pack crypts, large before small, each at the tightest of some random places.

    Args:
        ground: Cells of `GRID_UM` where crypts may lie, (h, w) bool.
        origin_um: x and y of the grid's corner.
        rng: The only source of randomness.
        packing: How close they lie.

    Returns:
        Crypts that lie within the ground and, unless crowded, do not touch.
    """
    padded: U8 = np.pad(ground.astype(np.uint8), 1)
    clearance: F32 = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] * np.float32(GRID_UM)
    attempts = int(ground.sum() * GRID_UM**2 / 1800.0)
    crypts = []
    for size in np.linspace(1.0, 0.0, attempts):
        crypt = _place_one(_grow_crypt(rng, float(size)), clearance, rng, packing)
        if crypt is not None:
            _claim(clearance, crypt)
            crypts.append(_move(crypt, np.full(2, origin_um)))
    return crypts


def _grow_crypt(rng: np.random.Generator, size: float) -> Crypt:
    long_cut = rng.random() < 0.06 + 0.2 * size
    length_um = rng.uniform(90.0, 300.0) if long_cut else rng.uniform(2.0, 38.0)
    steps = np.linspace(-0.5, 0.5, max(5, int(length_um / 8.0)))
    bend = rng.uniform(-0.8, 0.8) * min(1.0, length_um / 150.0)
    heading = rng.uniform(0.0, 2.0 * np.pi) + bend * steps
    spine = np.cumsum(_unit(heading), axis=0) * (length_um / steps.size)
    mucinous = rng.random() < 0.75
    return Crypt(
        spine_um=spine - spine.mean(axis=0),
        radius_um=rng.uniform(26.0, 34.0) + 18.0 * size * rng.random(),
        wave=np.stack([rng.uniform(0.0, [0.08, 0.045, 0.03]), rng.uniform(0.0, 2.0 * np.pi, 3)], axis=1),
        lumen=rng.uniform(0.1, 0.25) if rng.random() < 0.7 else rng.uniform(0.25, 0.45),
        goblets=rng.uniform(0.6, 0.95) if mucinous else rng.uniform(0.05, 0.4),
        tone=rng.uniform(0.85, 1.0) if mucinous else rng.uniform(0.95, 1.1),
        halo_um=max(0.0, rng.uniform(-5.0, 2.5)),
    )


def _place_one(crypt: Crypt, clearance: F32, rng: np.random.Generator, packing: Packing) -> Crypt | None:
    """Move the crypt to the tightest of some random places that have room for it, and let it grow there."""
    height, width = clearance.shape
    farthest_um = float(crypt.trace_spokes(4.0)[2].max())
    places_um = rng.random((packing.candidates, 2)) * [width * GRID_UM, height * GRID_UM]
    cells = ((crypt.spine_um + places_um[:, None]) / GRID_UM).astype(np.int64)  # (candidate, point, xy)
    inside = ((cells >= 0) & (cells < [width, height])).all(axis=(1, 2))
    cells = np.clip(cells, 0, [width - 1, height - 1])
    room = clearance[cells[..., 1], cells[..., 0]].min(axis=1) - farthest_um - rng.uniform(*packing.gap_um)
    room[~inside | (room < 0)] = np.inf
    best = int(room.argmin())
    if not np.isfinite(room[best]):
        return None
    growth = min(1.0 + float(room[best]) / farthest_um, packing.growth)
    return _move(replace(crypt, radius_um=growth * crypt.radius_um), places_um[best])


def _claim(clearance: F32, crypt: Crypt) -> None:
    """Lower the clearance around a placed crypt to the distance from its outline."""
    outline = crypt.outline_um()
    first = np.maximum(0, (outline.min(axis=0) - _REACH_UM) / GRID_UM).astype(int)
    last = ((outline.max(axis=0) + _REACH_UM) / GRID_UM).astype(int)
    window = clearance[first[1] : last[1], first[0] : last[0]]
    taken: U8 = np.zeros(window.shape, np.uint8)
    fill_mask(taken, outline - first * GRID_UM, GRID_UM)
    away = cv2.distanceTransform(1 - taken, cv2.DIST_L2, 5) * np.float32(GRID_UM)
    np.minimum(window, away, out=window)


def _move(crypt: Crypt, by_um: F64) -> Crypt:
    return replace(crypt, spine_um=crypt.spine_um + by_um)


def _unit(angles: F64) -> F64:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)
