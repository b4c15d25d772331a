"""Synthetic H&E colon tissue with known glands: for the demo, golden tiles and tests."""

from __future__ import annotations

from glandseg.synthetic.slide_file import write_slide
from glandseg.synthetic.stain import Stain
from glandseg.synthetic.tissue import TileKind, draw_crowded_tile, draw_slide, draw_tile

__all__ = ["Stain", "TileKind", "draw_crowded_tile", "draw_slide", "draw_tile", "write_slide"]
