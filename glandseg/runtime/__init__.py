"""From a slide to its glands: tissue, tiling, maps, glands, outputs; with numpy and without torch."""
