"""Many slides in one run: found, run once each by whichever process is free, and summarised."""
