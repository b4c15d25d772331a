"""Where a slide holds tissue: background, artifacts, lumina, regions of interest."""
