"""A node on two machines, which share PostgreSQL, Redis and a bucket; and the bucket is killed."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from free_ports import free_port
from orthanc_server import OrthancServer
from postgres_server import PostgresServer
from pydicom.uid import MammographyCADSRStorage
from redis_server import RedisServer
from running_node import Pacs, RunningNode, running_node
from s3_server import KEY, SECRET, S3Server, s3_server
from senders import send
from small_images import mammogram

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASS = (Wanted(kind="mass", malignant=True, side="L"),)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.make_bucket("mammograms")
        yield server


@pytest.fixture(scope="module")
def machines(
    s3: S3Server,
    orthanc: OrthancServer,
    postgres: PostgresServer,
    private_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningNode, RunningNode]]:
    """Run the listener on one machine and the workers on another."""
    folder = tmp_path_factory.mktemp("machines")
    database = postgres.create_database("two_machines")
    private_redis.flush()
    pacs = [Pacs("pacs", orthanc.aet, orthanc.dicom_port)]
    shared = {"database": database, "broker": private_redis.url}
    with (
        running_node(folder / "one", pacs, **shared) as one,
        running_node(folder / "two", pacs, **shared) as two,
    ):
        for machine in (one, two):
            text = machine.config.read_text()
            text = text.replace("[node]", '[node]\nspool = "s3://mammograms/fourviews"')
            text = text.replace("[receiving]", "[receiving]\nany_caller = true")
            text += (
                f'[analyzing.accept]\nrows_min = 100\n[bucket]\nendpoint = "{s3.endpoint}"\n'
                f'access_key = "{KEY}"\nsecret_key = "{SECRET}"\n'
            )
            machine.config.write_text(text)
        assert one.run("migrate").returncode == 0
        one.start("listen")
        two.start("work")
        one.wait_until_listening()
        yield one, two


def images_of(salt: str, folder: Path) -> tuple[str, list[Path]]:
    images = datasets(study(7, pitch_mm=0.4, lesions=MASS), uid_salt=salt)
    return str(images[0].StudyInstanceUID), write(images, folder)


def is_delivered_once(node: RunningNode, orthanc: OrthancServer, study_uid: str) -> None:
    case = node.wait_for_end(study_uid)
    assert case.state == State.DELIVERED, (case.reason, node.log()[-3000:])
    held = orthanc.datasets(study_uid)
    assert len(held) == len(node.questions.products_of(case.id))
    assert sum(one.SOPClassUID == MammographyCADSRStorage for one in held) == 1


def test_a_study_that_one_machine_takes_is_read_on_the_other(
    machines: tuple[RunningNode, RunningNode], orthanc: OrthancServer, tmp_path: Path
) -> None:
    one, two = machines
    study_uid, files = images_of("two machines", tmp_path)
    assert storescu(files, one.port).returncode == 0
    is_delivered_once(one, orthanc, study_uid)
    assert not list((one.settings.data / "spool").rglob("cases")), "nothing is shared but S3"
    assert list((two.settings.data / "spool" / "copies").iterdir())
    balance = two.run("balance", "--deep")
    assert balance.returncode == 0, balance.stdout
    check = one.run("check")
    assert "the bucket mammograms can be written" in check.stdout
    assert SECRET not in check.stdout + one.log() + two.log()


def test_a_bucket_that_is_away_is_a700_within_5_seconds_and_a_case_that_waits(
    machines: tuple[RunningNode, RunningNode],
    s3: S3Server,
    orthanc: OrthancServer,
    tmp_path: Path,
) -> None:
    one, two = machines
    study_uid, files = images_of("the bucket is killed", tmp_path)
    two.kill("work")
    assert storescu(files, one.port).returncode == 0
    one.wait_until(
        lambda: (case := one.case(study_uid)) is not None and case.state == State.RECEIVED,
        "complete",
    )
    s3.kill()
    two.start("work")
    at = time.monotonic()
    late = mammogram()
    assert send(one.port, late) == [0xA700]
    assert time.monotonic() - at < 40  # 5 with a machine to itself
    one.wait_until(lambda: "the bucket cannot be reached" in one.case(study_uid).reason, "waiting")  # type: ignore[union-attr]
    s3.start()
    is_delivered_once(one, orthanc, study_uid)
    assert send(one.port, late) == [0x0000]
    assert one.run("balance", "--deep").returncode == 0


def test_two_machines_that_take_one_uid_with_two_contents_keep_one_and_set_one_aside(
    machines: tuple[RunningNode, RunningNode], s3: S3Server
) -> None:
    one, two = machines
    two.config.write_text(
        two.config.read_text().replace(f"port = {two.port}", f"port = {free_port()}")
    )
    two.start("listen")
    two.wait_until_listening()
    image = mammogram()
    other = mammogram(SOPInstanceUID=image.SOPInstanceUID, PatientID="SMALL-2")
    assert send(one.port, image) == [0x0000]
    assert send(two.port, other) == [0xA901]
    assert send(two.port, image) == [0x0000], "a duplicate is welcome on either"
    objects = s3.client.list_objects_v2(Bucket="mammograms", Prefix="fourviews/quarantine/")
    assert len(objects["Contents"]) == 1
    named = hashlib.sha256(image.SOPInstanceUID.encode()).hexdigest()
    assert named[:32] in objects["Contents"][0]["Key"]
