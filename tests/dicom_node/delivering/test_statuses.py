"""What the answers of a destination mean."""

import pytest

from dicom_node.delivering.statuses import Meaning, meaning


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (0x0000, Meaning.ARRIVED),
        (0x0111, Meaning.ARRIVED),  # duplicate SOP Instance (PS3.7 C.5.7)
        (0xB000, Meaning.ARRIVED),  # coercion of data elements (PS3.4 B.2.3)
        (0xB006, Meaning.ARRIVED),  # elements discarded
        (0xB007, Meaning.ARRIVED),  # data set does not match SOP class
        (0xA700, Meaning.LATER),  # out of resources
        (0xA7FF, Meaning.LATER),
        (0x0110, Meaning.LATER),  # processing failure
        (None, Meaning.LATER),  # no answer: the road broke
        (0xA900, Meaning.NEVER),  # data set does not match SOP class: an error here
        (0xA9FF, Meaning.NEVER),
        (0xC000, Meaning.NEVER),  # cannot understand
        (0xCFFF, Meaning.NEVER),
        (0x0122, Meaning.NEVER),  # SOP class not supported
        (0x0124, Meaning.NEVER),  # not authorized
        (0x0117, Meaning.NEVER),  # invalid SOP Instance
        (0xFE00, Meaning.NEVER),  # a status that C-STORE does not have
    ],
)
def test_a_status_means_arrived_later_or_never(status: int | None, meant: Meaning) -> None:
    assert meaning(status) is meant
