"""The network on every device, and the proof that it computes the same on each."""
