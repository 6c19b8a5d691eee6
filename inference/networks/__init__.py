"""The networks of the papers, and the single ideas that they share."""
