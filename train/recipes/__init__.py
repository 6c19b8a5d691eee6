"""One training recipe a paper."""
