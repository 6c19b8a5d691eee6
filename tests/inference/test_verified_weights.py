"""Weights and card are what they were when they were written, or they are not opened."""

import hashlib
import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_bundle import WEIGHT, card

from inference import bundle
from inference.analyzer import open_bundle
from inference.bundle import CARD, WEIGHTS, load_card, load_weights, save_bundle, verified_weights
from inference.errors import BadBundle

BUNDLES = sorted(path.parent for path in Path("bundles").glob(f"*/{CARD}"))
Figure = Callable[[str], None]


def flipped(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def test_S2_every_flipped_byte_of_weights_and_cards_is_noticed(
    tmp_path: Path, figure: Figure
) -> None:
    chance, refused = random.Random(20), {WEIGHTS: 0, CARD: 0}  # noqa: S311 - places to flip
    for number, shipped in enumerate(BUNDLES):
        each = 100 * (number + 1) // len(BUNDLES) - 100 * number // len(BUNDLES)
        copy = shutil.copytree(shipped, tmp_path / shipped.name)
        for name in refused:
            whole = (copy / name).read_bytes()
            places = [
                0,
                7,
                8,
                len(whole) - 1,
                *(chance.randrange(len(whole)) for _ in range(each - 4)),
            ]
            for place in places:
                (copy / name).write_bytes(flipped(whole, place, chance.randrange(8)))
                with pytest.raises(BadBundle):
                    verified_weights(copy, load_card(copy))
                refused[name] += 1
            (copy / name).write_bytes(whole)
        assert verified_weights(copy, load_card(copy))
    figure(
        f"{refused[WEIGHTS]} of 100 flips of weights and {refused[CARD]} of 100 of cards refused"
    )
    assert refused == {WEIGHTS: 100, CARD: 100}


def header(told: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text + data


ONE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
LIARS = {
    "a header of eight exabytes": struct.pack("<Q", (1 << 63) - 1) + b"{}",
    "a header longer than the file": struct.pack("<Q", 4096) + b"{}",
    "a header of 100 MB and one byte": struct.pack("<Q", 100_000_001) + b"{}",
    "no header": b"",
    "half a length": b"\x01\x00",
    "offsets beyond the end": header({"a": {**ONE, "data_offsets": [0, 1 << 60]}}, bytes(16)),
    "offsets that run backward": header({"a": {**ONE, "data_offsets": [16, 0]}}, bytes(16)),
    "a shape that is not its bytes": header({"a": {**ONE, "shape": [1 << 40]}}, bytes(16)),
    "a shape that overflows": header({"a": {**ONE, "shape": [1 << 63, 1 << 63]}}, bytes(16)),
    "two on one place": header({"a": ONE, "b": ONE}, bytes(16)),
    "a kind that is none": header({"a": {**ONE, "dtype": "PICKLE"}}, bytes(16)),
    "bytes behind the end": header({"a": ONE}, bytes(64)),
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
}


def test_S2_a_file_that_lies_is_refused_though_its_card_agrees(
    tmp_path: Path, figure: Figure
) -> None:
    refused = []
    for what, content in LIARS.items():
        (tmp_path / WEIGHTS).write_bytes(content)
        agreeing = card(weights_sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(BadBundle):
            load_weights(tmp_path, agreeing)
        refused.append(what)
    figure(f"{len(refused)} of {len(LIARS)} files refused whose header lies")
    assert refused == list(LIARS)


def test_S2_the_bytes_that_were_verified_are_the_bytes_that_are_loaded(
    tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save_bundle(tmp_path, card(), WEIGHT)

    def swapped_behind_our_back(folder: Path, told: bundle.Card) -> bytes:
        stored = verified_weights(folder, told)
        save_bundle(folder, card(), {"a": torch.full((4,), 666.0)})
        return stored

    monkeypatch.setattr(bundle, "verified_weights", swapped_behind_our_back)
    loaded = load_weights(tmp_path, saved)["a"]
    figure(f"a file swapped after its verification: {int(loaded.max())} where it says 666 now")
    torch.testing.assert_close(loaded, WEIGHT["a"])


def test_S2_an_opened_bundle_stays_what_it_was(tmp_path: Path, figure: Figure) -> None:
    copy = shutil.copytree(BUNDLES[0], tmp_path / "copy")
    analyzer = open_bundle(copy)
    before = [one.clone() for one in tensors(analyzer)]
    stored = (copy / WEIGHTS).read_bytes()
    with (copy / WEIGHTS).open("r+b") as file:  # in place, as a careless copy does
        file.write(bytes(len(stored)))
    with pytest.raises(BadBundle, match="install the bundle again"):
        open_bundle(copy)
    same = sum(
        torch.equal(one, other) for one, other in zip(before, tensors(analyzer), strict=True)
    )
    figure(f"{same} of {len(before)} tensors of an opened bundle unchanged under a damaged file")
    assert before
    assert same == len(before)


def tensors(analyzer: object) -> list[torch.Tensor]:
    """Find every network that an analyzer holds."""
    found, seen, left = list[torch.Tensor](), set[int](), [analyzer]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch.nn.Module):
            found += one.state_dict().values()
        elif type(one).__module__.startswith("inference"):
            names = getattr(one, "__slots__", ()) or vars(one)
            left += [getattr(one, name) for name in names]
    return found


def test_a_card_that_was_edited_says_how_to_mean_it(tmp_path: Path) -> None:
    save_bundle(tmp_path, card(), WEIGHT)
    text = (tmp_path / CARD).read_text()
    (tmp_path / CARD).write_text(text.replace("finding_score = 0.6", "finding_score = 0.1"))
    with pytest.raises(BadBundle, match="was changed after it was written") as raised:
        load_card(tmp_path)
    first = str(raised.value).rpartition("make its first line ")[2]
    rest = (tmp_path / CARD).read_text().partition("\n")[2]
    (tmp_path / CARD).write_text(f"{first}\n{rest}")
    assert load_card(tmp_path).finding_score(None) == 0.1
