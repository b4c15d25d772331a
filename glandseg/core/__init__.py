"""What every part builds on: errors, atomic writes, locks, threads, timing, units."""
