"""Maps kept on disk in tiles, and polygons drawn into them."""
