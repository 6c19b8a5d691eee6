"""A paper's table once more: rows that differ by a few keys of a recipe, measured side by side."""
