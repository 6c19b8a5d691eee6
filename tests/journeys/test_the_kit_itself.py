"""The servers and programs that the journeys stand on."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import dcmtk
import psycopg
import pytest
import redis
from free_ports import free_ports
from orthanc_server import OrthancServer, orthanc_server
from postgres_server import PostgresServer
from private_process import program
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    generate_uid,
)
from pynetdicom import AE, evt
from redis_server import RedisServer, redis_server

SERVERS = Path(__file__).parent.parent / "servers"


def small_image(path: Path) -> Dataset:
    """Write a picture of 16 by 16 pixels that calls itself a mammogram."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID = generate_uid()
    image.SeriesInstanceUID = generate_uid()
    image.PatientID = "KIT"
    image.PatientName = "Kit^Test"
    image.Modality = "MG"
    image.Rows = image.Columns = 16
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.PixelData = b"".join(n.to_bytes(2, "little") for n in range(256))
    image.save_as(path, enforce_file_format=True)
    return image


def listening(port: int) -> bool:
    """Ask whether anybody listens on a port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def spare_orthanc() -> Iterator[OrthancServer]:
    with orthanc_server(aet="SPARE") as server:
        yield server


@pytest.mark.journey
def test_orthanc_gives_back_what_storescu_sent(orthanc: OrthancServer, tmp_path: Path) -> None:
    sent = small_image(tmp_path / "image.dcm")
    ended = dcmtk.storescu([tmp_path / "image.dcm"], orthanc.dicom_port, called=orthanc.aet)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sent.StudyInstanceUID in orthanc.studies()
    (kept,) = orthanc.datasets(sent.StudyInstanceUID)
    assert kept.PixelData == sent.PixelData
    assert kept.SOPInstanceUID == sent.SOPInstanceUID


@pytest.mark.journey
def test_a_compressed_file_arrives_as_it_was_compressed(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    sent = small_image(tmp_path / "image.dcm")
    dcmtk.dcmcjpeg(tmp_path / "image.dcm", tmp_path / "lossless.dcm")
    ended = dcmtk.storescu([tmp_path / "lossless.dcm"], orthanc.dicom_port, called=orthanc.aet)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (kept,) = orthanc.datasets(sent.StudyInstanceUID)
    assert kept.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    assert kept.pixel_array.tobytes() == sent.PixelData
    assert "JPEGLossless" in dcmtk.dcmdump(tmp_path / "lossless.dcm")


@pytest.mark.journey
def test_orthanc_keeps_its_studies_over_an_outage(
    spare_orthanc: OrthancServer, tmp_path: Path
) -> None:
    sent = small_image(tmp_path / "image.dcm")
    spare_orthanc.upload((tmp_path / "image.dcm").read_bytes())
    spare_orthanc.stop()
    assert dcmtk.echoscu(spare_orthanc.dicom_port, called="SPARE").returncode != 0
    spare_orthanc.start()
    assert dcmtk.echoscu(spare_orthanc.dicom_port, called="SPARE").returncode == 0
    assert spare_orthanc.studies() == [sent.StudyInstanceUID]
    spare_orthanc.clear()
    assert spare_orthanc.studies() == []


@pytest.mark.journey
def test_orthanc_refuses_a_wrong_called_ae_title(orthanc: OrthancServer) -> None:
    assert dcmtk.echoscu(orthanc.dicom_port, called="SOMEBODY").returncode != 0


@pytest.mark.journey
def test_orthanc_sends_a_study_to_a_peer_it_was_told_of(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    sent = small_image(tmp_path / "image.dcm")
    orthanc.upload((tmp_path / "image.dcm").read_bytes())
    arrived: list[str] = []

    def keep(event: evt.Event) -> int:
        arrived.append(event.dataset.SOPInstanceUID)
        return 0x0000

    peer = AE(ae_title="PEER")
    peer.add_supported_context(sent.SOPClassUID, ExplicitVRLittleEndian)
    listener = peer.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    try:
        orthanc.know("peer", "PEER", listener.server_address[1])
        orthanc.send(sent.StudyInstanceUID, "peer")
    finally:
        listener.shutdown()
    assert arrived == [sent.SOPInstanceUID]


@pytest.mark.journey
def test_redis_forgets_at_a_flush_and_at_a_restart(private_redis: RedisServer) -> None:
    with redis.Redis.from_url(private_redis.url) as client:
        client.set("case", 7)
        private_redis.flush()
        assert client.get("case") is None
    with redis_server() as spare, redis.Redis.from_url(spare.url) as client:
        client.set("case", 7)
        spare.stop()
        spare.start()
        assert client.get("case") is None


@pytest.mark.journey
def test_postgres_gives_each_test_a_database_of_its_own(postgres: PostgresServer) -> None:
    urls = [postgres.create_database(name) for name in ("one", "two")]
    for url in urls:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE only_here (id integer)")
    assert urls[0] != urls[1]


@pytest.mark.journey
def test_servers_end_with_a_test_run_that_was_killed() -> None:
    script = textwrap.dedent("""
        import time
        from redis_server import RedisServer
        from pathlib import Path
        import tempfile
        server = RedisServer(Path(tempfile.mkdtemp(prefix="fourviews-killed-")))
        server.start()
        print(server.port, server._folder, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SERVERS)},
    ) as run:
        assert run.stdout is not None
        port, folder = run.stdout.readline().split()
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while listening(int(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listening(int(port))
    for path in Path(folder).iterdir():
        path.unlink()
    Path(folder).rmdir()


def test_dcmtk_programs_are_never_those_of_pynetdicom() -> None:
    assert Path(program("storescu")).parent != Path(sys.executable).parent


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", ports[0]))


@pytest.mark.parametrize("place", ["in the test", "in its module"])
@pytest.mark.parametrize("strict", [True, False])
def test_a_skip_fails_the_run_only_where_all_must_run(
    place: str,
    strict: bool,  # noqa: FBT001 - a parameter of the test
    tmp_path: Path,
) -> None:
    kit = SERVERS.parent / "conftest.py"
    (tmp_path / "conftest.py").write_text(kit.read_text())
    line = 'pytest.skip("no moon", allow_module_level=True)'
    body = f"import pytest\n{line}\n" if place == "in its module" else "import pytest\n"
    inner = "pass" if place == "in its module" else 'pytest.skip("no moon")'
    (tmp_path / "test_it.py").write_text(f"{body}\ndef test_it(): {inner}\n")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment["PYTHONPATH"] = str(SERVERS)
    environment["FOURVIEWS_NO_SKIPS"] = "1" if strict else "0"
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("no test may be skipped" in ended.stdout) is strict
    assert "no moon" in ended.stdout or not strict
    assert (ended.returncode in {1, 2}) is strict
