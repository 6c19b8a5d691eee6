import re
import tomllib
from pathlib import Path

import pytest

from train.data.readers.by_name import NAMES
from train.data.readers.coco import CocoDescription
from train.data.readers.table_description import Regions, TableDescription

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_the_page_is_a_description(text: str) -> None:
    told = tomllib.loads(text)
    kind = CocoDescription if "annotations" in told else TableDescription
    assert kind.model_validate(told).name == told["name"]


def test_the_page_has_examples_of_both_forms_and_a_line_for_each_reader() -> None:
    assert len(EXAMPLES) == 4
    assert [name for name in NAMES if f"\n| `{name}` |" not in PAGE] == []


def test_the_page_names_every_key() -> None:
    said = set(re.findall(r"`\[?(\w+)\]?`|^\[?(\w+)(?:\]| = )", PAGE, re.MULTILINE))
    words = {word for pair in said for word in pair}
    for kind in (CocoDescription, TableDescription, Regions):
        assert kind.model_fields.keys() - words == set()
