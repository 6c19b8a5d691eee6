"""What the results say of whoever made them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from dicom_node.settings.values import Table

RESEARCH_USE = "research use"
STATEMENT_LENGTH = 400


def _research(value: str) -> str:
    if RESEARCH_USE not in value.lower():
        raise ValueError(f"it has to say {RESEARCH_USE!r}: it stands in every object")
    if len(value) > STATEMENT_LENGTH:
        raise ValueError(f"it has {len(value)} characters, where {STATEMENT_LENGTH} have room")
    return value


class Reporting(Table):
    """Who the results say made them."""

    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] = "Four Views"
    model: Annotated[str, Field(min_length=1, max_length=64)] = "fourviews"
    serial_number: Annotated[str, Field(min_length=1, max_length=64)] = "1"
    research_statement: Annotated[str, AfterValidator(_research)] = (
        "For research use only. Not for diagnosis."
    )
    tell_declined: bool = True
    tell_failed: bool = True
