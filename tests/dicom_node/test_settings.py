"""The settings say every fault at once, in the administrator's words, and no secret."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_node.errors import Misconfigured
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings, load_settings, settings_path
from dicom_node.shipped import shipped

Written = Callable[[str], Path]
NAMED = '[[delivering.destinations]]\nname = "a"\nae_title = "A"\nport = 104\n'


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: str) -> Path:
        path = tmp_path / "node.toml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def faults_of(path: Path) -> list[str]:
    """Return what is said of a file, without its name before each sentence."""
    with pytest.raises(Misconfigured) as raised:
        load_settings(path)
    assert all(fault.startswith(f"{path}: ") for fault in raised.value.faults)
    said = [fault.removeprefix(f"{path}: ") for fault in raised.value.faults]
    return [re.sub(r" \[line \d+\]$", "", one) for one in said]


def test_the_shipped_file_holds_the_defaults() -> None:
    told = load_settings(shipped("config") / "node.toml").model_dump()
    callers = told["receiving"].pop("callers")
    wanted = Settings().model_dump()
    assert wanted["receiving"].pop("callers") == ()
    assert told == wanted
    assert [caller["ae_title"] for caller in callers] == ["FOURVIEWS_SEND"]


def test_an_empty_file_is_a_whole_configuration(written: Written) -> None:
    assert load_settings(written("")) == Settings()


def test_every_fault_is_said_at_once(written: Written) -> None:
    path = written("""
        [receivin]
        port = 1
        [receiving]
        prot = 104
        port = 99999
        ae_title = "A TITLE THAT IS TOO LONG"
        [[receiving.callers]]
        ae_titel = "MG1"
        [analyzing.accept]
        synthetic2d = true
        xyzzy = 1
        [[delivering.destinations]]
        name = "pacs"
        [node]
        log_format = "loud"
    """)
    said = faults_of(path)
    needs = "a destination needs ae_title, host and port, or url, or return_to_sender, and "
    needs += "pacs has none of them whole"
    for sentence in (
        "receivin: there is no such key; did you mean receiving?",
        "receiving.prot: there is no such key; did you mean port?",
        "receiving.callers.0.ae_titel: there is no such key; did you mean ae_title?",
        "receiving.callers.0.ae_title: is missing",
        "analyzing.accept.synthetic2d: there is no such key; did you mean synthetic_2d?",
        "analyzing.accept.xyzzy: there is no such key",
        f"delivering.destinations.0: {needs}",
    ):
        assert sentence in said
    assert any(one.startswith("receiving.port: ") and "(it is 99999)" in one for one in said)
    assert any(one.startswith("receiving.ae_title: an AE title has 1 to 16") for one in said)
    assert any(one.startswith("node.log_format: ") and "'plain' or 'json'" in one for one in said)
    assert len(said) == 10


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[receiving]\ngrace_seconds = 90.0", "grace_seconds <= quiet_seconds <= cap_seconds"),
        ("[receiving]\nquiet_seconds = 5.0", "grace_seconds <= quiet_seconds <= cap_seconds"),
        ("[receiving]\ncap_seconds = 30.0", "grace_seconds <= quiet_seconds <= cap_seconds"),
        ("[receiving]\nquiet_seconds = 0", "receiving.quiet_seconds: "),
        ("[receiving]\nport = 0", "receiving.port: "),
        ('[receiving]\nae_title = "  "', "receiving.ae_title: an AE title has"),
        ('[receiving]\nae_title = "BACK\\\\SLASH"', "no backslash"),
        ('[receiving]\nrequired_views = ["LML"]', "receiving.required_views.0: "),
        (
            '[[receiving.callers]]\nae_title = "MG1"\naddresses = ["mg1.hospital"]',
            "addresses.0: wanted: an address, or a network such as 10.1.0.0/16 (it is 'mg1.",
        ),
        (
            '[[receiving.callers]]\nae_title = "MG1"\naddresses = ["10.1.2.3/16"]',
            "addresses.0: wanted: an address, or a network such as 10.1.0.0/16 (it is '10.1",
        ),
        ("[watching]\nlease_seconds = 1", "watching.lease_seconds: "),
        ("[delivering]\nretry_seconds = []", "at least one waiting time"),
        ('[analyzing.accept]\nsexes = ["X"]', "analyzing.accept.sexes.0: "),
        ("[analyzing.accept]\nrows_min = 7000", "rows_min <= rows_max"),
        ("[analyzing.accept]\nage_min = 90\nage_max = 40", "age_min <= age_max"),
        (
            2 * '[[delivering.destinations]]\nname = "a"\nreturn_to_sender = true\n',
            "twice: a",
        ),
        (
            '[[delivering.destinations]]\nname = "a"\nreturn_to_sender = true\nport = 1',
            "return_to_sender finds its own way: remove port",
        ),
        (
            '[[delivering.destinations]]\nname = "a"\nreturn_to_sender = true\ncommitment = true',
            "a: commitment needs ae_title, host and port",
        ),
        ('[[delivering.destinations]]\nname = "a b"\nreturn_to_sender = true', "0.name: "),
        (f'{NAMED}host = ""', "0.host: "),
        (f'{NAMED}host = "{131 * "x"}"', "0.host: "),
        ("[[receiving]]\nport = 1", "receiving: wanted: one table, with one bracket: [receiving]"),
        (
            "[[analyzing.accept]]\nrows_min = 1",
            "analyzing.accept: wanted: one table, with one bracket: [analyzing.accept]",
        ),
        (
            '[[delivering.destinations]]\nname = "a"\n[[delivering.destinations.tls]]\nca = "x"',
            "0.tls: wanted: one table, with one bracket: [delivering.destinations.tls]",
        ),
        (
            '[receiving.callers]\nae_title = "MG1"',
            "receiving.callers: wanted: a table for each, with two brackets: [[receiving.callers]]",
        ),
        ("[receiving.port]\nx = 1", "receiving.port: wanted: a whole number"),
    ],
)
def test_a_value_that_cannot_be_is_named(written: Written, content: str, said: str) -> None:
    (fault,) = faults_of(written(content))
    assert said in fault


@pytest.mark.parametrize(
    ("said", "folders"),
    [
        ('"a"', ["a"]),
        ('["a"]', ["a"]),
        ('["b", "a"]', ["b", "a"]),
    ],
)
def test_one_bundle_may_be_named_or_several(
    written: Written, said: str, folders: list[str]
) -> None:
    settings = load_settings(written(f'[analyzing]\nbundles = "/b"\nbundle = {said}'))
    assert settings.bundle_folders == tuple(Path("/b") / name for name in folders)
    same = load_settings(written('[analyzing]\nbundles = "/b"\nbundle = "a"'))
    assert (settings.digest == same.digest) is (folders == ["a"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('["a", "b", "a"]', "a bundle agrees with others, not with itself; twice: a"),
        ("[]", "wanted: a bundle's name, or a list of names"),
        ("7", "wanted: a bundle's name, or a list of names (it is 7)"),
        ('["a", 7]', "wanted: a bundle's name, or a list of names, none of them empty"),
        ('""', "wanted: a bundle's name, or a list of names, none of them empty (it is '')"),
        ('["a", " "]', "wanted: a bundle's name, or a list of names, none of them empty"),
        ('{ name = "a" }', "wanted: a bundle's name, or a list of names"),
    ],
)
def test_what_names_no_bundle_is_said_to(written: Written, value: str, said: str) -> None:
    assert faults_of(written(f"[analyzing]\nbundle = {value}")) == [f"analyzing.bundle: {said}"]


def test_a_typing_error_is_told_with_its_line(written: Written) -> None:
    (fault,) = faults_of(written('[receiving]\nport = 104\nae_title = "MG\n'))
    assert "is no valid TOML" in fault
    assert "line 3" in fault


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "gone.toml") == ["cannot be read: No such file or directory"]
    assert faults_of(tmp_path) == ["cannot be read: Is a directory"]


def test_a_file_of_another_encoding_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_bytes('model = "Zoë"'.encode("latin-1"))
    (fault,) = faults_of(path)
    assert "is no valid TOML" in fault


def test_secrets_come_from_the_environment_or_a_file(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_URL", "postgresql+psycopg://u:rosebud@db/x")
    (tmp_path / "broker").touch(mode=0o600)
    (tmp_path / "broker").write_text("redis://:xanadu@db/0\n")
    settings = load_settings(
        written(f'[node]\ndatabase = "env:LEDGER_URL"\nbroker = "file:{tmp_path}/broker"')
    )
    assert settings.database_url == "postgresql+psycopg://u:rosebud@db/x"
    assert settings.broker_url == "redis://:xanadu@db/0"


def test_a_secret_that_is_not_there_is_named(written: Written, tmp_path: Path) -> None:
    said = faults_of(
        written(f'[node]\ndatabase = "env:NO_SUCH_NAME"\nbroker = "file:{tmp_path}/none"')
    )
    assert "node.database: the environment variable NO_SUCH_NAME is not set" in said[0]
    assert f"node.broker: the file {tmp_path}/none cannot be read: No such file" in said[1]


@pytest.mark.parametrize("value", ['["redis://:rosebud@db/0"]', '{ url = "rosebud" }'])
def test_no_fault_repeats_a_secret(written: Written, value: str) -> None:
    (fault,) = faults_of(written(f"[node]\nbroker = {value}"))
    assert "node.broker: " in fault
    assert "rosebud" not in fault


def test_a_file_url_of_the_database_is_no_secret_file(written: Written) -> None:
    settings = load_settings(written('[node]\ndatabase = "sqlite:////tmp/x.sqlite"'))
    assert settings.database_url == "sqlite:////tmp/x.sqlite"


def test_the_ledger_lies_in_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    settings = Settings.model_validate({"node": {"data": tmp_path}})
    assert settings.database_url == f"sqlite:///{tmp_path}/ledger.sqlite"


def test_settings_are_named_by_what_shapes_results_not_by_where_things_lie() -> None:
    plain = Settings()
    elsewhere = Settings.model_validate({"node": {"data": "/elsewhere", "broker": "redis://:y@x"}})
    other = Settings.model_validate({"analyzing": {"operating_point": "sensitive"}})
    assert plain.digest == elsewhere.digest != other.digest


def test_the_file_is_found_by_order_of_nearness(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert settings_path() == shipped("config") / "node.toml"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "node.toml").touch()
    assert settings_path() == Path("config/node.toml")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "/etc/node.toml")
    assert settings_path() == Path("/etc/node.toml")
    assert settings_path(written("")) == tmp_path / "node.toml"


def test_nothing_changes_a_setting_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().receiving.port = 104


@pytest.mark.parametrize("address", ["localhost:6379", "redi://:rosebud@host", "amqp://host"])
def test_a_broker_that_is_none_is_said_without_its_secret(written: Written, address: str) -> None:
    (fault,) = faults_of(written(f'[node]\nbroker = "{address}"'))
    assert fault == "node.broker: wanted: redis://host:6379/0, or nothing for a folder as the queue"


def test_no_time_is_infinite(written: Written) -> None:
    text = (
        "[watching]\nsweep_seconds = inf\nlease_seconds = inf\n[delivering]\nretry_seconds = [nan]"
    )
    assert len(faults_of(written(text))) == 3
