"""From a slide to its glands: tissue, tiles, maps, glands, outputs; with numpy and never with torch."""
