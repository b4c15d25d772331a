"""The report of a slide: one HTML file that a browser opens without a network."""
