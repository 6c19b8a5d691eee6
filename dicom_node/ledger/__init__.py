"""The truth: what came in, what was done with it, and by whom."""
