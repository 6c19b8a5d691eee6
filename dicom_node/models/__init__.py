"""Bundles: which there are, which of them read, and how that is changed."""
