"""The commands as an administrator types them: what they say, and how they end."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from destinations import Posted
from free_ports import free_port
from ledger_book import reading
from orthanc_server import OrthancServer
from small_images import mammogram

from dicom_node.cli import run
from dicom_node.errors import Declined, Refused
from dicom_node.ledger.tables import Verdict
from dicom_node.life import ANALYZE, DELIVER, State
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, load_settings
from dicom_node.shipped import shipped
from dicom_node.wiring import Node, migrate, newest_revision

Ends = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the settings of a node that has never run."""
    path = tmp_path / "node.toml"
    path.write_text(
        f'[node]\ndata = "{tmp_path}/var"\n[receiving]\nreserve_megabytes = 1\n'
        f"port = {free_port()}\n"
    )
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    return path


@pytest.fixture
def ends(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ends:
    """Run a command; return its exit status and what it said on both streams."""

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dicom-node", *arguments])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    assert config.exists()
    return command


@pytest.fixture
def books(config: Path, opened: Callable[..., Node]) -> Posted:
    """Open the node of the settings, for putting cases into its ledger."""
    return Posted(opened(load_settings(config)))


def appended(config: Path, text: str) -> None:
    config.write_text(config.read_text() + text)


def test_migrate_says_from_where_to_where(ends: Ends, config: Path) -> None:
    newest = newest_revision(Node(load_settings(config)))
    status, out, _ = ends("migrate")
    assert (status, out.strip()) == (
        0,
        f"the ledger was at revision none and is now at {newest}",
    )
    assert ends("migrate")[1].strip() == f"the ledger is at revision {newest} already"


def test_a_fresh_node_has_nothing_to_tell(ends: Ends) -> None:
    ends("migrate")
    status, out, _ = ends("status", "--json")
    assert status == 0
    counts = ("cases", "owed", "unreachable", "parked", "lost", "not_committed")
    lists = ("refused", "working", "held", "legs", "newest", "drift")
    words = ("last_image_at", "bell", "trail_broken")
    nothing: list[tuple[tuple[str, ...], object]] = [(counts, {}), (lists, []), (words, "")]
    told = json.loads(out)
    assert told.pop("disk")["days_left"] is None
    assert told == {key: none for keys, none in nothing for key in keys}
    assert "no cases yet" in ends("status")[1]


def test_status_tells_what_stands_where(ends: Ends, books: Posted, config: Path) -> None:
    appended(
        config,
        '[[delivering.destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\n'
        f"port = {free_port()}\n",
    )
    office = Posted(Node(load_settings(config)))
    reported, failed = office.case(), office.case()
    with pytest.raises(Exception, match="still owed to pacs"):
        office.deliver(reported)
    office.node.ledger.move(failed, State.REPORTED, State.DELIVERING, lease="x")
    office.node.ledger.move(
        failed, State.DELIVERING, State.FAILED, "[bold] [/broken] glass", lease="x"
    )
    told = json.loads(ends("status", "--json")[1])
    assert told["cases"] == {"REPORTED": 1, "FAILED": 1}
    assert told["owed"] == {"pacs": 4}
    (why,) = told["unreachable"].values()
    assert "cannot be reached: nobody listens at its port; next try " in why
    assert [one["case"] for one in told["newest"]] == [failed, reported]
    assert told["newest"][0]["reason"] == "[bold] [/broken] glass"
    page = ends("status")[1]
    assert "REPORTED 1  FAILED 1" in page
    assert "owed to pacs: 4 objects" in page
    assert "[bold] [/broken] glass" in page
    assert "[bold] [/broken] glass" in ends("trace", str(failed))[1]
    assert json.loads(ends("status", "--json", "--limit", "1")[1])["newest"] == [told["newest"][0]]
    office.node.engine.dispose()
    assert books.node.questions.case(reported) is not None


def test_trace_tells_the_whole_story_by_case_or_study(ends: Ends, books: Posted) -> None:
    case_id = books.case()
    case = books.node.questions.case(case_id)
    assert case is not None
    by_case, by_study = (
        json.loads(ends("trace", "--json", str(name))[1]) for name in (case_id, case.study_uid)
    )
    assert by_case == by_study
    (told,) = by_case
    assert (told["state"], told["round"], told["reading"]) == ("REPORTED", 1, None)
    assert [image["verdict"] for image in told["images"]] == ["not judged yet"]
    assert [one["kind"] for one in told["objects"]] == ["kind_0", "kind_1"]
    assert [event["event"] for event in told["events"]][-1] == "REPORTING -> REPORTED"
    page = ends("trace", str(case_id))[1]
    assert f"case {case_id}, round 1: REPORTED" in page
    assert case.study_uid in page


def test_trace_tells_readings_verdicts_and_rounds(ends: Ends, books: Posted) -> None:
    ledger, questions = books.node.ledger, books.node.questions
    case_id = books.case(objects=0)
    case = questions.case(case_id)
    assert case is not None
    (image,) = questions.images_of(case)
    with ledger.writing() as session:
        session.add(
            Verdict(
                case_id=case_id, instance_id=image.id, code="I14", sentence="PartialView is YES"
            )
        )
        row = reading(case_id)
        row.digest, row.cancer_score, row.findings_count = "d" * 64, 0.25, 3
        session.add(row)
    (told,) = json.loads(ends("trace", "--json", str(case_id))[1])
    assert told["images"][0]["verdict"] == "I14: PartialView is YES"
    assert told["reading"]["cancer_score"] == 0.25
    page = ends("trace", str(case_id))[1]
    assert "read by b 1 (shared_trunk), weights dddddddddddd" in page
    assert "score 0.250, 3 findings" in " ".join(page.split())  # wherever the line breaks


def test_trace_says_where_a_system_does_not_judge(ends: Ends, books: Posted) -> None:
    case_id = books.case(objects=0)
    with books.node.ledger.writing() as session:
        row = reading(case_id)
        row.cancer_score = None
        session.add(row)
    (told,) = json.loads(ends("trace", "--json", str(case_id))[1])
    assert told["reading"]["cancer_score"] is None
    assert "operating point o: not judged, 0 findings" in ends("trace", str(case_id))[1]


@pytest.mark.parametrize("command", ["trace", "retry"])
@pytest.mark.parametrize("name", ["77", "1.2.3.4", "9" * 21, "\u00b2", "../../etc/passwd"])
def test_a_study_that_nobody_knows_is_said_to_be(ends: Ends, command: str, name: str) -> None:
    ends("migrate")
    status, out, err = ends(command, name)
    assert (status, out) == (1, "")
    assert err.strip() == f"the ledger knows no study or case {name}"


def test_what_nobody_knows_is_not_drawn(ends: Ends, tmp_path: Path) -> None:
    ends("migrate")
    status, _, err = ends("render", "77", "--out", str(tmp_path / "out"))
    assert status == 1
    assert err.strip() == "77 is no folder, and the ledger knows no study or case 77"
    assert not (tmp_path / "out").exists()


def fail(books: Posted, case_id: int) -> None:
    with pytest.raises(Refused), books.node.ledger.turn(case_id, DELIVER):
        raise Refused("a test")


def test_retry_sends_a_failed_case_back_and_hurries_a_waiting_one(
    ends: Ends, books: Posted
) -> None:
    case_id = books.case()
    fail(books, case_id)
    status, out, _ = ends("retry", str(case_id))
    assert (status, out.strip()) == (0, f"case {case_id} goes on from REPORTED")
    assert books.state(case_id) == State.REPORTED
    assert ends("retry", str(case_id))[1].strip() == f"case {case_id} goes on from REPORTED"


def test_there_is_nothing_to_retry_about_a_declined_study(ends: Ends, books: Posted) -> None:
    case_id = books.case()
    case = books.node.questions.case(case_id)
    assert case is not None
    ledger = books.node.ledger
    with ledger.writing() as session:
        session.get_one(type(case), case_id).state = State.RECEIVED
    with ledger.turn(case_id, ANALYZE):
        raise Declined("S02", "no image")
    status, out, _ = ends("retry", case.study_uid)
    assert status == 1
    assert out.strip() == f"case {case_id} is DECLINED: there is nothing to try again"


def test_sweep_counts_its_rings(ends: Ends, books: Posted) -> None:
    books.case()
    assert ends("sweep")[1].strip() == "rang for 1 cases"
    assert ends("sweep")[1].strip() == "rang for 0 cases"


def answers(ends: Ends) -> tuple[int, dict[str, tuple[bool, str]]]:
    status, out, _ = ends("check", "--json")
    told = json.loads(out)
    return status, {one["question"]: (one["good"], one["sentence"]) for one in told["answers"]}


def test_check_names_what_is_missing_on_a_fresh_node(ends: Ends, tmp_path: Path) -> None:
    status, told = answers(ends)
    assert status == 1
    assert told["can data be kept?"][0]
    assert told["is the ledger up to date?"][0]
    assert "is empty; the first start makes its tables" in told["is the ledger up to date?"][1]
    assert told["does the bell ring?"][0]
    assert told["who may send?"] == (
        False,
        "nobody may send: add a [[receiving.callers]] table",
    )
    assert not told["where do results go?"][0]
    assert not (tmp_path / "var" / ".probe").exists()
    page = ends("check")[1]
    assert "✗ who may send?  nobody may send: add a [[receiving.callers]] table" in page


def test_check_calls_each_destination(ends: Ends, config: Path, orthanc: OrthancServer) -> None:
    appended(
        config,
        "any_caller = true\n"
        '[[delivering.destinations]]\nname = "pacs"\n'
        f'ae_title = "{orthanc.aet}"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
        '[[delivering.destinations]]\nname = "gone"\nae_title = "GONE"\nhost = "127.0.0.1"\n'
        f"port = {free_port()}\n"
        '[[delivering.destinations]]\nname = "sender"\nreturn_to_sender = true\n',
    )
    status, told = answers(ends)
    assert status == 1
    assert told["does pacs answer?"][0]
    assert not told["does gone answer?"][0]
    assert told["does gone answer?"][1].endswith("cannot be reached: nobody listens at its port")
    assert told["does sender answer?"][0]
    assert told["who may send?"] == (True, "anybody may send (receiving.any_caller is true)")
    status, out, _ = ends("echo", "pacs")
    assert (status, out.strip()) == (
        0,
        f"{orthanc.aet}@127.0.0.1:{orthanc.dicom_port} answers",
    )


def test_echo_cannot_call_whoever_sends(ends: Ends, config: Path) -> None:
    appended(config, '[[delivering.destinations]]\nname = "back"\nreturn_to_sender = true\n')
    status, _, err = ends("echo", "back")
    assert status == 2
    assert "back is whoever sends: call a sender as AE@host:port" in err


def test_echo_says_who_is_known_and_who_does_not_answer(ends: Ends) -> None:
    status, _, err = ends("echo", "nowhere")
    assert status == 2
    assert "no destination is called nowhere; the settings have: none" in err
    status, _, err = ends("echo", "AE@host")
    assert status == 2
    assert "AE@host is not AE@host:port" in err
    port = free_port()
    status, _, err = ends("echo", f"AE@127.0.0.1:{port}")
    why = f"AE@127.0.0.1:{port} cannot be reached: nobody listens at its port"
    assert (status, err.strip()) == (os.EX_TEMPFAIL, why)


def test_a_wrong_configuration_ends_every_command_with_all_its_faults(
    ends: Ends, config: Path
) -> None:
    config.write_text('[node]\nlog_level = "loud"\n[receiving]\nprot = 104\n')
    for command in (["status"], ["check"], ["listen"], ["work"], ["migrate"], ["trace", "1"]):
        status, out, err = ends(*command)
        assert (status, out) == (os.EX_CONFIG, "")
        first, second = err.splitlines()
        assert first.startswith(f"{config}: node.log_level: ")
        assert second == f"{config}: receiving.prot: there is no such key; did you mean port?"


def test_a_settings_file_may_be_named_on_the_command_line(ends: Ends, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    status, _, err = ends("--config", str(other), "status")
    assert (status, err.strip()) == (
        os.EX_CONFIG,
        f"{other}: cannot be read: No such file or directory",
    )


def test_no_worker_serves_with_a_bundle_that_is_not_sound(ends: Ends, config: Path) -> None:
    appended(config, '[analyzing]\nbundle = "no_such"\n')
    status, _, err = ends("work", "--only", "analyze")
    assert status == os.EX_CONFIG
    assert "no_such is no bundle" in err


def test_an_operating_point_that_the_bundle_has_not_is_said_by_check(
    ends: Ends, config: Path
) -> None:
    appended(config, '[analyzing]\noperating_point = "best"\n')
    _, out, _ = ends("check")
    assert "has no operating point 'best': choose one of" in out


def test_the_demo_knows_its_archives(ends: Ends) -> None:
    status, _, err = ends("demo", "--archive", "foo")
    assert status == 2
    assert "no such archive: foo; there are auto, builtin, orthanc" in " ".join(err.split())


def test_check_says_all_that_is_wrong_with_a_bundle_at_once(
    ends: Ends, config: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "bundles" / "copy"
    shutil.copytree(shipped("bundles") / "shared_trunk_phantom", copy)
    (copy / "weights.safetensors").write_bytes(b"damaged")
    appended(
        config,
        f'[analyzing]\nbundles = "{copy.parent}"\nbundle = "copy"\noperating_point = "best"\n'
        '[[delivering.destinations]]\nname = "back"\nreturn_to_sender = true\n'
        'operating_point = "worst"\n',
    )
    _, out, _ = ends("check")
    assert "has no operating point 'best'" in out
    assert "has no operating point 'worst'" in out
    assert "install the bundle again" in out


def test_work_knows_its_steps(ends: Ends) -> None:
    status, _, err = ends("work", "--only", "analyse")
    assert status == 2
    assert "no such step: analyse" in err


def test_a_ledger_of_another_version_ends_a_command_with_what_to_do(
    ends: Ends, config: Path
) -> None:
    node = Node(load_settings(config))
    migrate(node)
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    node.engine.dispose()
    status, _, err = ends("status")
    assert status == os.EX_CONFIG
    assert "belongs to a newer node; install that version" in err


def test_send_posts_to_whom_it_is_told(ends: Ends, tmp_path: Path, orthanc: OrthancServer) -> None:
    image = mammogram()
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    image.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    to = f"{orthanc.aet}@127.0.0.1:{orthanc.dicom_port}"
    status, out, _ = ends("send", "--to", to, str(tmp_path / "image.dcm"))
    assert status == 0
    assert f"1 of 1 taken by {to}" in out
    assert image.StudyInstanceUID in orthanc.studies()
    status, _, err = ends("send", str(tmp_path / "image.dcm"))
    assert status == os.EX_TEMPFAIL, "this node does not listen"
    assert "cannot be reached" in err


def test_help_names_every_command(ends: Ends) -> None:
    _, out, err = ends("--help")
    for name in ("up", "listen", "work", "sweep", "migrate", "check", "status", "trace", "retry"):
        assert name in out + err


def test_status_says_who_was_turned_away(ends: Ends, config: Path) -> None:
    ends("migrate")
    node = Node(load_settings(config))
    node.ledger.record("association refused", "BADGUY at 10.0.0.9 is in no table")
    assert "BADGUY at 10.0.0.9 is in no table" in ends("status")[1]
    (refused,) = json.loads(ends("status", "--json")[1])["refused"]
    assert refused["what"] == "association refused"
