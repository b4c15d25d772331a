"""Where a slide holds something to look at: tissue, glass, dirt, lumina, regions of interest."""
