"""The reading room: mammograms in, findings out. No socket, no queue, no database."""
