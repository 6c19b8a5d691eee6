"""The figures that the pages state are those of the cards."""

import re
import tomllib
from typing import Any

import pytest
from checkout import ROOT, documents

from dicom_node.settings.file import Settings

CARDS = {path.parent.name: path for path in sorted((ROOT / "bundles").glob("*/card.toml"))}
ADMINISTRATION = "docs/administration.md"
PHANTOMS = [name for name in CARDS if name.endswith("_phantom")]
ON_FILMS = (  # what the page has to say of the bundle that has seen films
    "image_auc",
    "exam_auc",
    *(f"sensitivity_at_{rate}_false_marks_per_image" for rate in ("0.25", "0.5", "1", "2", "4")),
)
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
    (one,) = [metric for metric in found if not metric.get("subgroup")]
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


@pytest.mark.parametrize("bundle", PHANTOMS)
def test_the_table_says_what_the_card_says(bundle: str) -> None:
    card = tomllib.loads(CARDS[bundle].read_text(encoding="utf-8"))
    page = documents()["docs/networks.md"].partition("## What the phantom bundles measured")[2]
    row = re.search(rf"^\| `{card['system']}` \|(.*)\|$", page, re.MULTILINE)
    assert row is not None, f"no row for {card['system']}"
    cells = [cell.strip() for cell in row[1].split("|")]
    assert cells == [stated(card, names) for names in COLUMNS]


def test_the_pages_say_of_whom_the_default_scores_speak() -> None:
    bundle = Settings().analyzing.bundle
    assert isinstance(bundle, str)
    card = tomllib.loads(CARDS[bundle].read_text(encoding="utf-8"))
    pages = {name: " ".join(text.split()) for name, text in documents().items()}
    half = f"{100 * card['calibration']['prevalence']:.0f} % of the exams hold a cancer"
    assert f"{card['name']} {card['version']} is calibrated where {half}" in pages[ADMINISTRATION]
    of_none = card["reference"]
    assert of_none["on"].endswith("without cancer")
    assert f"the default bundle are {of_none['exams']} exams of" in pages[ADMINISTRATION]
    middle = (
        f"half of the exams without one were given more than {100 * of_none['deciles'][4]:.1f} %"
    )
    assert middle in pages["docs/radiologist.md"]
    for phantom in PHANTOMS:
        assert "reference" not in tomllib.loads(CARDS[phantom].read_text(encoding="utf-8"))


def test_what_is_said_of_the_other_bundle_of_films_is_what_its_card_says() -> None:
    card = tomllib.loads(CARDS["all_conv_cbis"].read_text(encoding="utf-8"))
    page = " ".join(documents()["docs/networks.md"].split())
    image, exam = (stated(card, (name,)) for name in ("image_auc", "exam_auc"))
    assert f"its `image_auc` is {image}, its `exam_auc` {exam}" in page


def test_the_table_of_the_default_bundle_says_what_its_card_says() -> None:
    card = tomllib.loads(CARDS["recall_retina_cbis"].read_text(encoding="utf-8"))
    assert all("CBIS-DDSM, part validation" in metric["on"] for metric in card["metrics"])
    page = documents()["docs/networks.md"].partition("## What the default bundle measured")[2]
    for name in ON_FILMS:
        assert f"| `{name}` | {stated(card, (name,))} |" in page
