"""What a person in the workshop has to put right, as a sentence; any other error is a fault."""

HOW_TO_INSTALL = "pip install 'fourviews[workshop]'"  # what draws and what TensorBoard reads


class Refused(Exception):
    """Say what was asked for, why it cannot be done, and what to do instead."""


class OtherRecipe(Refused):
    """Say that a run folder belongs to another recipe."""


class Unfinished(Refused):
    """Say that a run was not trained to its end."""


class Diverged(Refused, ArithmeticError):
    """Say that a loss is no number."""
