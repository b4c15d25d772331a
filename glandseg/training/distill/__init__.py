"""A small network learns the probabilities of a large one."""
