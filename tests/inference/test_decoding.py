"""What a hostile file may cost, and that honest ones are read as ever."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from bombs import BOMBS, Bomb, bombs, jpeg
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from inference.decoding import children
from inference.decoding.files import open_file
from inference.decoding.pixels import Layout, held_by, pixels_of
from inference.errors import Unreadable
from inference.reading import read
from phantom.dicom import datasets
from phantom.study import study

SYNTAXES = [
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian),
    *(DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless),
]


@pytest.fixture(scope="module")
def image() -> Dataset:
    return datasets(study(7))[0]


@pytest.fixture(scope="module")
def written(image: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bomb]:
    folder = tmp_path_factory.mktemp("bombs")
    return {bomb.name: bomb for bomb in bombs(image, folder)}


@pytest.fixture(autouse=True)
def no_child_stays() -> Iterator[None]:
    yield
    children._OURS.end()


def in_syntax(image: Dataset, syntax: UID, path: Path) -> Path:
    one = deepcopy(image)
    if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        one.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        one.PixelData = one.pixel_array.astype(">u2").tobytes()
    one.file_meta.TransferSyntaxUID = syntax
    little, implicit = syntax.is_little_endian, syntax.is_implicit_VR
    one.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_file_is_read_as_pydicom_reads_it(image: Dataset, syntax: UID, tmp_path: Path) -> None:
    path = in_syntax(image, syntax, tmp_path / "image.dcm")
    seen = read(open_file(path))
    np.testing.assert_array_equal(seen.pixels, image.pixel_array)
    np.testing.assert_array_equal(read(dcmread(path)).pixels, image.pixel_array)
    assert seen.sop_instance_uid == image.SOPInstanceUID


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_unreadable_and_costs_little(name: str, written: dict[str, Bomb]) -> None:
    before, started = peak_bytes(), time.monotonic()
    with pytest.raises(Unreadable) as said:
        read(open_file(written[name].path))
    assert peak_bytes() - before < 400 << 20
    assert time.monotonic() - started < 120
    assert str(written[name].path) not in str(said.value)


def peak_bytes() -> int:
    """Say how much this process and its children took at most, all at once or not."""
    pids = [os.getpid(), *(child.process.pid for child in children._OURS.all)]
    words = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(text.split("VmHWM:")[1].split()[0]) * 1024 for text in words)


def layout(**changes: object) -> Layout:
    plain = Layout(str(JPEGLSLossless), 64, 48, 16, 12, signed=False)
    return plain._replace(**changes)


def test_a_child_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_CPU_SECONDS", 1.0)
    stream, how = encoded_stream()
    assert children.decoded(stream, how).shape == (64, 48)
    (child,) = children._OURS.all
    os.kill(child.process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(Unreadable, match="more memory or time"):
        children.decoded(stream, how)
    assert time.monotonic() - started < 120
    assert child.process.poll() == -signal.SIGKILL
    assert children.decoded(stream, how).shape == (64, 48)


def test_a_killed_child_costs_one_image_at_most() -> None:
    stream, how = encoded_stream()
    children.decoded(stream, how)
    (child,) = children._OURS.all
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    assert children.decoded(stream, how).shape == (64, 48)


def test_a_child_that_somebody_kills_at_its_work_costs_no_image() -> None:
    stream, how = encoded_stream()
    children.decoded(stream, how)
    (child,) = children._OURS.all
    os.kill(child.process.pid, signal.SIGSTOP)
    killed = threading.Timer(0.5, os.kill, (child.process.pid, signal.SIGKILL))
    killed.start()
    assert children.decoded(stream, how).shape == (64, 48)
    killed.join()
    assert child not in children._OURS.all


def encoded_stream() -> tuple[bytes, Layout]:
    one = Dataset()
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.Rows, one.Columns, one.PixelRepresentation = 64, 48, 0
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 12, 11
    one.PixelData = np.arange(64 * 48, dtype="<u2").tobytes()
    one["PixelData"].VR = "OW"
    one.ensure_file_meta()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.compress(JPEGLSLossless, generate_instance_uid=False)
    return get_frame(one.PixelData, 0, number_of_frames=1), layout()


@pytest.mark.parametrize("end", [None, Unreadable("it")], ids=["well", "unreadable"])
def test_whoever_is_interrupted_anywhere_leaves_no_place_taken(end: Unreadable | None) -> None:
    """An alarm comes between any two lines; a debugger's hook lets it come between each two."""
    ours, own = children._Children(), children.__file__
    seen, at, rounds = 0, 1, 0

    def alarm(frame: FrameType, what: str, _: object) -> Any:  # noqa: ANN401 - or itself
        nonlocal seen
        if frame.f_code.co_filename != own or frame.f_code.co_name not in {"one", "_lent"}:
            return None
        if what == "line":
            seen += 1
            if seen == at:
                raise TimeoutError
        return alarm

    def interrupted() -> bool:
        nonlocal seen
        seen = 0
        before = sys.gettrace()
        sys.settrace(alarm)
        try:
            with ours.one(1 << 20):
                if end is not None:
                    raise end
        except (TimeoutError, Unreadable):
            pass
        finally:
            sys.settrace(before)
        return seen >= at

    try:
        while interrupted():
            at, rounds = at + 1, rounds + 1
            assert ours._room(children._ROOM_BYTES + 1), f"a place was lost at line {rounds}"
    finally:
        ours.end()
    assert rounds > 10


def test_images_are_decoded_side_by_side_and_none_is_mixed_up(
    image: Dataset, tmp_path: Path
) -> None:
    paths = []
    for number in range(6):
        one = deepcopy(image)
        pixels = np.roll(image.pixel_array, number * 17, axis=0)
        one.PixelData = pixels.tobytes()
        paths.append((in_syntax(one, RLELossless, tmp_path / f"{number}.dcm"), pixels))
    with ThreadPoolExecutor(4) as together:
        read_ones = list(together.map(lambda path: read(open_file(path[0])).pixels, paths))
    for got, (_, pixels) in zip(read_ones, paths, strict=True):
        np.testing.assert_array_equal(got, pixels)
    assert len(children._OURS.all) <= children.cores()


def test_a_child_knows_no_secret_and_ends_with_its_parent() -> None:
    program = (
        "import json, os, sys, time\n"
        "from inference.decoding import children\n"
        "from pathlib import Path\n"
        "try: children.tried(Path('/nowhere'), 1000)\n"
        "except Exception: pass\n"
        "(child,) = children._OURS.all\n"
        "words = Path(f'/proc/{child.process.pid}/environ').read_bytes().decode()\n"
        "print(json.dumps([child.process.pid, words]), flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "FOURVIEWS_SECRET": "sesame"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid, words = json.loads(parent.stdout.readline())
        assert "sesame" not in words
        parent.kill()
    deadline = time.monotonic() + 120
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("changes", "stream", "sentence"),
    [
        ({}, jpeg(0xF7, 64, 49), "64 x 49 pixels, and its header says 64 x 48"),
        ({}, jpeg(0xF7, 64, 48, bits=12).replace(b"\x01\x01\x11", b"\x03\x01\x11"), "3 samples"),
        ({"bits_allocated": 8}, jpeg(0xF7, 64, 48), "12 bits a pixel"),
        ({}, jpeg(0xC3, 64, 48), "of another kind"),
        ({}, b"\xff\xd8\xff", "cut off"),
        ({}, b"", "PixelData is empty"),
        ({"syntax": str(RLELossless)}, b"\2\0\0\0", "RLE segments"),
        ({"rows": 20_000, "columns": 20_000}, b"", "100 million pixels"),
        ({"syntax": "1.2.840.10008.1.2.4.100"}, b"", "transfer syntax"),
    ],
)
def test_a_code_stream_is_compared_with_its_header(
    changes: dict[str, object], stream: bytes, sentence: str
) -> None:
    nothing = b"\xfe\xff\x00\xe0" + bytes(4)  # a table of frames that names none
    value = encapsulate([stream], has_bot=False) if stream else nothing
    how = layout(**changes)
    with pytest.raises(Unreadable, match=sentence):
        pixels_of(held_by(value, "OB", how), how)


def test_a_large_header_that_costs_what_it_weighs_is_read(image: Dataset, tmp_path: Path) -> None:
    one = deepcopy(image)
    one.add_new(0x60000010, "US", image.Rows)
    one.add_new(0x60003000, "OW", bytes(12 << 20))
    for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        path = in_syntax(one, syntax, tmp_path / "image.dcm")
        seen = read(open_file(path))
        np.testing.assert_array_equal(seen.pixels, image.pixel_array)
