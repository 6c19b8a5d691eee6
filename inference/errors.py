"""What can be wrong in the reading room.

Exception
├── Unreadable    this image cannot be turned into a mammogram
├── BadBundle     this bundle must not be served
└── NoDevice      the device of the settings is not there, or does not compute
"""


class Unreadable(Exception):
    """Say why an image cannot be read."""


class BadBundle(Exception):
    """Say why a bundle is refused."""


class NoDevice(Exception):
    """Say what is wrong with a device."""
