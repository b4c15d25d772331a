"""Slides of every format, read by rectangle at any um/px, and what of them cannot be read."""
