"""REPORTED -> DELIVERED: every destination gets the objects it asked for."""
