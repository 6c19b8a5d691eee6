"""How urgent a study is: as its senders' tables say."""

from collections.abc import Callable

import pytest
from open_listener import OpenListener
from pydantic import ValidationError
from senders import send
from small_images import mammogram

from dicom_node.life import Priority
from dicom_node.settings.receiving import Receiving

CALLERS = [
    {"ae_title": "CLINIC", "priority": "high"},
    {"ae_title": "STUDIES", "priority": "low"},
    {"ae_title": "SCREENING"},
    {"ae_title": "SCREENING", "addresses": ["10.9.0.0/16"], "priority": "low"},
]


def test_a_study_has_the_highest_priority_of_its_senders(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(any_caller=False, callers=CALLERS)
    study = str(mammogram().StudyInstanceUID)

    def came_from(caller: str) -> int:
        image = mammogram("RCC", StudyInstanceUID=study)
        assert send(listener.port, image, calling=caller) == [0x0000]
        (case,) = listener.node.questions.cases_of(study)
        return case.priority

    wanted = [("STUDIES", Priority.LOW), ("SCREENING", Priority.MEDIUM)]
    wanted += [("CLINIC", Priority.HIGH), ("STUDIES", Priority.HIGH)]
    assert [came_from(caller) for caller, _ in wanted] == [priority for _, priority in wanted]
    assert listener.sentences("round opened") == ["round 1, of low priority"]


def test_a_sender_has_the_priority_of_the_table_that_names_it_most_narrowly() -> None:
    rules = Receiving.model_validate({"callers": CALLERS, "any_caller": True})
    assert rules.priority_of("SCREENING", "10.9.1.1") == "low"
    assert rules.priority_of("SCREENING", "10.8.1.1") == "medium"
    assert rules.priority_of("STRANGER", "10.9.1.1") == "medium"
    with pytest.raises(ValidationError, match="'low', 'medium' or 'high'"):
        Receiving.model_validate({"callers": [{"ae_title": "X", "priority": "urgent"}]})
