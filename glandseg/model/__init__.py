"""A model file: its card, the device that runs it, and the check that every device computes the same."""
