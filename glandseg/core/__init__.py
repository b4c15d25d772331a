"""What every part builds on: errors, atomic writes, threads, timing, units."""
