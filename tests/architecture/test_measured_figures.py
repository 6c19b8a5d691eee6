"""The figures that the pages state are those of the cards."""

import re
import tomllib
from typing import Any

import pytest
from checkout import ROOT, documents

CARDS = {path.parent.name: path for path in sorted((ROOT / "bundles").glob("*/card.toml"))}
COLUMNS = (  # of the table in docs/networks.md, and the card's words for them
    ("exam_auc", "exam_auc_any_lesion"),
    ("image_auc", "image_auc_any_lesion"),
    ("sensitivity_at_1_false_marks_per_image",),
    ("mask_dice",),
)


def stated(card: dict[str, Any], names: tuple[str, ...]) -> str:
    """Write a figure of a card as the page does."""
    found = [metric for metric in card["metrics"] if metric["name"] in names]
    if not found:
        return "-"
    (one,) = found
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


@pytest.mark.parametrize("bundle", CARDS)
def test_the_table_says_what_the_card_says(bundle: str) -> None:
    card = tomllib.loads(CARDS[bundle].read_text(encoding="utf-8"))
    page = documents()["docs/networks.md"].partition("## What the phantom bundles measured")[2]
    row = re.search(rf"^\| `{card['system']}` \|(.*)\|$", page, re.MULTILINE)
    assert row is not None, f"no row for {card['system']}"
    cells = [cell.strip() for cell in row[1].split("|")]
    assert cells == [stated(card, names) for names in COLUMNS]
