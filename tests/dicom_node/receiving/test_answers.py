"""The node's own answers are, to the letter, those that pynetdicom would give."""

import pytest
from pynetdicom.dimse_messages import C_ECHO_RSP, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF

from dicom_node.receiving.answers import answer_to, in_pdus

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"


def as_pynetdicom_says_it(request: C_STORE | C_ECHO, status: int, most: int) -> bytes:
    request.MessageIDBeingRespondedTo, request.Status = request.MessageID, status
    message = C_STORE_RSP() if isinstance(request, C_STORE) else C_ECHO_RSP()
    message.primitive_to_message(request)
    said = b""
    for part in message.encode_msg(5, most):
        one = P_DATA_TF()
        one.from_primitive(part)
        said += one.encode()
    return said


@pytest.mark.parametrize("most", [0, 64, 100, 16_382, 131_072])
@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34", "2.25." + "1" * 59, None])
@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xC000])
def test_an_answer_to_an_image_is_what_pynetdicom_would_say(
    most: int, uid: str | None, status: int
) -> None:
    request = C_STORE()
    request.MessageID, request.AffectedSOPClassUID = 65_535, MAMMOGRAM if uid else None
    request.AffectedSOPInstanceUID = uid
    said = in_pdus(answer_to(request, status), 5, most)
    assert said == as_pynetdicom_says_it(request, status, most)


@pytest.mark.parametrize("most", [0, 64, 16_382])
def test_an_answer_to_an_echo_is_what_pynetdicom_would_say(most: int) -> None:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 0, "1.2.840.10008.1.1"
    assert in_pdus(answer_to(request, 0), 5, most) == as_pynetdicom_says_it(request, 0, most)
