"""The output files of a slide: what writes each, and the one pass over the glands that writes all."""
