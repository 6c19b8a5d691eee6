"""The listener as a process: lean, quick, clean at its end, and discreet."""

import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from running_node import RunningNode, running_node, sqlite_bytes
from senders import associate, connected, send, store, until
from small_images import encoded, mammogram
from vitals import processor_seconds

MEGABYTES = 180  # some 140 as measured; torch alone weighs more than the rest
START_SECONDS = 10.0  # of a processor: how long it waits for one is not its affair
STOP_SECONDS = 30.0
SENTINELS = ("SENTINEL-ID", "Sentinel", "19110111", "SENTINELACC", "Sentinelphysician")
LITTLE_ENDIAN = str(ExplicitVRLittleEndian)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Run `dicom-node listen` for the tests of this module."""
    with running_node(tmp_path_factory.mktemp("listen"), []) as node:
        text = node.config.read_text().replace("[receiving]", "[receiving]\nany_caller = true")
        node.config.write_text(text.replace("[node]", '[node]\nlog_level = "debug"'))
        node.start("listen")
        until(lambda: "listening" in node.log())
        seconds = processor_seconds(node.processes["listen"].pid)
        print(f"listening after {seconds:.1f} s of a processor")  # noqa: T201 - a figure
        assert seconds < START_SECONDS
        yield node


def megabytes(node: RunningNode, which: str) -> float:
    """Read a figure of the process's memory."""
    status = Path(f"/proc/{node.processes['listen'].pid}/status").read_text()
    return int(status.split(f"{which}:")[1].split()[0]) / 1024


def incoming(node: RunningNode) -> list[Path]:
    return list((node.settings.data / "spool" / "incoming").iterdir())


def test_the_listener_is_lean_and_knows_no_torch(process: RunningNode) -> None:
    assert send(process.port, mammogram()) == [0x0000]
    resident = megabytes(process, "VmRSS")
    print(f"resident: {resident:.0f} MB")  # noqa: T201 - a figure
    assert resident < MEGABYTES
    mapped = Path(f"/proc/{process.processes['listen'].pid}/maps").read_text()
    assert "/torch/" not in mapped
    assert "/scipy/" not in mapped


def test_a_full_disk_is_an_answer_and_the_next_image_is_taken(process: RunningNode) -> None:
    large = mammogram(PixelData=bytes(12 << 20))
    pid = process.processes["listen"].pid
    former = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (8 << 20, former[1]))
    try:
        assert send(process.port, large) == [0xA700]
        assert send(process.port, mammogram()) == [0x0000]
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, former)
    assert incoming(process) == []
    said = [event.sentence for event in process.questions.last_events(30)]
    assert "A700: the image could not be written: File too large" in said
    assert send(process.port, large) == [0x0000]


def test_neither_the_log_nor_the_ledger_knows_who_the_patient_is(process: RunningNode) -> None:
    image = mammogram(
        PatientID="SENTINEL-ID",
        PatientName="Sentinel^Name",
        PatientBirthDate="19110111",
        AccessionNumber="SENTINELACC",
        ReferringPhysicianName="Sentinelphysician^Who",
        InstitutionName="Sentinel Hospital",
        StudyDescription="Sentinel study",
    )
    good = encoded(image)
    study = image.StudyInstanceUID
    bad = [
        (mammogram(PatientName="Sentinel^Two"), good),  # not what was announced
        (image, encoded(mammogram(PatientID="SENTINEL-ID"))),
        (image, good.replace(b"19650412", b"Sentinel")),
        (image, good.replace(study.encode(), b"Sentinel".ljust(len(study), b"x"))),
        (image, good.replace(b"LCC", b"Sen").replace(b"PN", b"IS")),
        (image, good.replace(b"DA\x08\x00", b"DS\x08\x00").replace(b"CS", b"IS")),
        (image, good[: len(good) // 2 * 2 - 600]),
    ]
    kinds = [(str(image.SOPClassUID), LITTLE_ENDIAN)]
    with connected(process.port, kinds) as association:
        answers = [
            store(association, *kinds[0][:1], one.SOPInstanceUID, LITTLE_ENDIAN, content)
            for one, content in [*bad, (image, good)]
        ]
    assert len(answers) == len(bad) + 1
    assert 0x0000 in answers
    assert 0xA900 in answers
    trace = process.run("trace", study)
    assert trace.returncode == 0
    data = process.settings.data
    told = {
        "the log": process.log().encode(),
        "the ledger": sqlite_bytes(process),
        "its journal": b"".join(path.read_bytes() for path in data.glob("ledger.sqlite-*")),
        "the story": (trace.stdout + trace.stderr).encode(),
        "the queue": b"".join(
            path.read_bytes() for path in (data / "queue").rglob("*") if path.is_file()
        ),
        "the names of files": "\n".join(map(str, data.rglob("*"))).encode(),
    }
    assert image.SOPInstanceUID.encode() in told["the log"]
    assert image.SOPInstanceUID.encode() in told["the ledger"]
    for place, content in told.items():
        for sentinel in SENTINELS:
            assert sentinel.encode() not in content, f"{place} knows {sentinel}"


def test_the_listener_ends_cleanly_though_a_sender_is_connected(process: RunningNode) -> None:
    """Stop it last: the other tests of this module need it."""
    image = mammogram()
    association = associate(process.port, [(str(image.SOPClassUID), LITTLE_ENDIAN)])
    assert association.is_established
    listener = process.processes.pop("listen")
    started = time.monotonic()
    listener.send_signal(signal.SIGTERM)
    status = listener.wait(60)
    print(f"ended after {time.monotonic() - started:.1f} s")  # noqa: T201 - a figure
    assert status == 0
    assert time.monotonic() - started < STOP_SECONDS
    until(lambda: not association.is_established)
    assert "Traceback" not in process.log()
