"""The files that a slide ends as."""
