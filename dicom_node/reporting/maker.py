"""Who made an object."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Maker:
    """Name the device; a workstation lists CAD vendors by these words.

    There are no defaults: an object must never look like the product of somebody else.
    """

    manufacturer: str
    model: str
    software_version: str
    serial_number: str
    research_statement: str  # shown in every object
