"""Windows of a slide through the network, and blended into one map of probabilities."""
