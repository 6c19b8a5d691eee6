"""The first minute of a newcomer: a study goes the whole way, and one sees it go."""
