"""What `check` says of the ways to other machines."""

from pathlib import Path

import pytest

from dicom_node.settings.file import Settings
from dicom_node.watching.checkup import QUESTIONS, checkup
from dicom_node.wiring import Node

PRIVATE = "are the ways to ledger and bell private?"
POSTGRES = "postgresql+psycopg://u:rosebud@db.hospital.example/x"


def said(folder: Path, **keys: str) -> str:
    return QUESTIONS[PRIVATE](Node(Settings.model_validate({"node": {"data": folder, **keys}})))


@pytest.mark.parametrize(
    "keys",
    [
        {"database": POSTGRES},
        {"database": f"{POSTGRES}?sslmode=prefer"},
        {"database": "postgresql+psycopg://u@/x?host=10.1.2.3"},
        {"broker": "redis://:rosebud@10.1.2.3/0"},
        {"broker": "rediss://:rosebud@10.1.2.3/0?ssl_cert_reqs=none"},
    ],
)
def test_a_way_that_can_be_listened_to_is_warned_of(keys: dict[str, str], tmp_path: Path) -> None:
    sentence = said(tmp_path, **keys)
    assert sentence.startswith("warning: the way there can be listened to; node.")
    assert "rosebud" not in sentence


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"database": f"{POSTGRES}?sslmode=verify-full"},
        {"database": "postgresql+psycopg://u:rosebud@127.0.0.1/x"},
        {"database": "postgresql+psycopg://u@/x?host=/run/postgresql"},
        {"broker": "rediss://:rosebud@10.1.2.3/0"},
        {"broker": "redis://localhost/0"},
    ],
)
def test_a_private_way_is_not(keys: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, **keys) == "nothing leaves this machine in the clear"


def test_a_warning_fails_nothing(tmp_path: Path) -> None:
    node = {"data": tmp_path, "broker": "redis://:rosebud@127.0.0.1:1/0;redis://:x@10.1.2.3/0"}
    answers = {one.question: one for one in checkup(Node(Settings.model_validate({"node": node})))}
    assert answers[PRIVATE].good
    assert answers[PRIVATE].warning
    assert not answers["does the bell ring?"].good
    assert not any("rosebud" in one.sentence for one in answers.values())
