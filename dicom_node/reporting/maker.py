"""Who made an object."""

from dataclasses import dataclass

from dicom_node.settings.reporting import RESEARCH_USE, Reporting


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

    def __post_init__(self) -> None:
        if RESEARCH_USE not in self.research_statement.lower():
            raise ValueError(
                f"the research statement is {self.research_statement!r}; "
                f"it has to say {RESEARCH_USE!r}, because every object shows it"
            )


def maker_of(reporting: Reporting, software_version: str) -> Maker:
    """Name the device as the settings do."""
    return Maker(
        manufacturer=reporting.manufacturer,
        model=reporting.model,
        software_version=software_version,
        serial_number=reporting.serial_number,
        research_statement=reporting.research_statement,
    )
