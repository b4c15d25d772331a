"""Windows of a slide through the network and into one map of probabilities."""
