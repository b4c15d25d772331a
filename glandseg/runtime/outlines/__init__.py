"""From a map of probabilities to glands, and the files that hold them."""
