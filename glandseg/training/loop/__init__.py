"""The training loop: steps, checkpoints, logs, precision, processes."""
