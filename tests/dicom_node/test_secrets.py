"""Secrets: where they come from, what each may be, and that nobody sees them."""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from free_ports import free_port
from private_process import PrivateProcess, program
from pydantic import BaseModel, ValidationError
from redis_server import RedisServer

from dicom_node.doorbell import listen_for_answer
from dicom_node.errors import Busy, Misconfigured
from dicom_node.settings.file import Settings, load_settings
from dicom_node.settings.secrets import Secret
from dicom_node.settings.values import Table
from dicom_node.settings.words import sentences
from dicom_node.wiring import Node, ready

Figure = Callable[[str], None]

UNPROTECTED = (
    "node.broker: wanted: a password, as redis://:PASSWORD@host, wherever Redis is another machine"
)
ELSEWHERE = (
    *("redis://redis.hospital.example:6379/0", "redis://10.1.2.3", "redis://user@10.1.2.3/0"),
    *("redis://user:@10.1.2.3/0", "rediss://redis.hospital.example/0", "redis://[2001:db8::7]/1"),
    *("redis://localhost.example/0", "redis://127.0.0.1/0;redis://10.1.2.3/0", "redis://0.0.0.0/0"),
    *("redis://localhost@10.1.2.3/0", "redis://10.1.2.3/0?password=", "redis://127.1/0"),
)
HERE = (
    *("redis://localhost:6379/0", "redis://127.0.0.1/0", "redis://127.9.9.9", "redis://[::1]/0"),
    *("redis+socket:///run/redis/redis.sock", "redis:///0", "redis://:pw@10.1.2.3/0", ""),
)


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as raised:
        load_settings(path)
    return [one.removeprefix(f"{path}: ") for one in raised.value.faults]


def test_S4_redis_beyond_this_machine_wants_a_password(tmp_path: Path, figure: Figure) -> None:
    refused = [
        url for url in ELSEWHERE if faults(tmp_path, f'[node]\nbroker = "{url}"') == [UNPROTECTED]
    ]
    taken = [url for url in HERE if Settings.model_validate({"node": {"broker": url}})]
    figure(
        f"{len(refused)} of {len(ELSEWHERE)} addresses without a password refused, "
        f"{len(taken)} of {len(HERE)} on this machine or with one taken"
    )
    assert refused == list(ELSEWHERE)
    assert taken == list(HERE)


@pytest.mark.parametrize("address", ["redis://[::1", "http://localhost", "redis://a;amqp://b"])
def test_what_is_no_redis_is_said_to_be_none(tmp_path: Path, address: str) -> None:
    (fault,) = faults(tmp_path, f'[node]\nbroker = "{address}"')
    assert "wanted: " in fault
    assert address not in fault


@pytest.mark.parametrize(
    "address",
    [
        "rediss://:rosebud@10.1.2.3/0",
        "REDISS://:rosebud@10.1.2.3/0",
        "rediss://:ssl_cert_reqs=none@10.1.2.3/0",
        "redis://localhost; rediss://:rosebud@10.1.2.3/0",
    ],
)
def test_every_redis_over_tls_has_to_show_a_good_certificate(address: str) -> None:
    settings = Settings.model_validate({"node": {"broker": address}})
    assert settings.broker_url.endswith("?ssl_cert_reqs=required")


def test_every_command_refuses_to_start_with_an_open_redis(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\nbroker = "redis://10.1.2.3/0"')
    environment = {**os.environ, "FOURVIEWS_CONFIG": str(config)}
    for command in ("check", "listen", "work", "up"):
        ended = subprocess.run(
            [sys.executable, "-m", "dicom_node", command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == os.EX_CONFIG
        assert UNPROTECTED in ended.stderr


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o640 | 0o002, 0o601])
def test_a_secret_that_everybody_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret = tmp_path / "database"
    secret.write_text("postgresql+psycopg://u:rosebud@localhost/x")
    secret.chmod(mode)
    (fault,) = faults(tmp_path, f'[node]\ndatabase = "file:{secret}"')
    assert fault == (
        f"node.database: the file {secret} is open to everybody on this machine: chmod o= {secret}"
    )


KEYS = {
    "watching.page": "private_key",
    "receiving.tls": "private_key",
    "delivering.destinations.0.tls": "key",
    "audit.syslog": "key",
}


def test_S5_a_private_key_that_everybody_may_read_is_refused(
    tmp_path: Path, figure: Figure
) -> None:
    key = tmp_path / "a.key"
    key.write_text("x")
    refused = []
    for table, name in KEYS.items():
        for mode in (0o644, 0o604, 0o640, 0o600):
            key.chmod(mode)
            heads = f"[{table}]".replace(".0.tls]", ".tls]")
            before = "[[delivering.destinations]]\n" if "destinations" in table else ""
            text = f'{before}{heads}\ncertificate = "x.pem"\n{name} = "{key}"\n'
            path = tmp_path / "node.toml"
            path.write_text(text)
            try:
                load_settings(path)
                said = ""
            except Misconfigured as fault:
                said = str(fault)
            if f"{table}.{name}: the key is open to everybody" in said:
                refused.append((table, mode))
    figure(f"{len(refused)} of {2 * len(KEYS)} private keys that others may read refused")
    assert refused == [(table, mode) for table in KEYS for mode in (0o644, 0o604)]


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_an_empty_secret_or_none_that_is_text_is_refused(tmp_path: Path, content: bytes) -> None:
    secret = tmp_path / "database"
    secret.write_bytes(content)
    secret.chmod(0o600)
    (fault,) = faults(tmp_path, f'[node]\ndatabase = "file:{secret}"')
    assert fault.endswith(("is empty", "holds no text"))


def test_a_secret_that_the_units_alone_have_is_missed_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LEDGER", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    remedy = "type `dicom-node-admin` in the place of `dicom-node` (docs/security.md, Secrets)"
    said = faults(tmp_path, '[node]\ndatabase = "env:LEDGER"\nbroker = "credential:bell"')
    unset = "the environment variable LEDGER is not set: where the units alone have it"
    ungiven = "systemd gave no credential bell: LoadCredential=bell:/path gives it to a unit"
    assert said == [
        f"node.database: {unset}, {remedy}",
        f"node.broker: {ungiven}; by hand, {remedy}",
    ]


def test_an_empty_variable_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER", "")
    assert faults(tmp_path, '[node]\ndatabase = "env:LEDGER"') == [
        "node.database: the environment variable LEDGER is empty"
    ]


def test_systemd_may_bring_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broker").touch(mode=0o400)
    (tmp_path / "broker").chmod(0o600)
    (tmp_path / "broker").write_text("redis://:rosebud@10.1.2.3/0\n")
    given = {"node": {"broker": "credential:broker"}}
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Settings.model_validate(given).broker_url == "redis://:rosebud@10.1.2.3/0"
    outside = {"node": {"broker": "credential:../broker"}}
    with pytest.raises(ValidationError, match="gave no credential broker"):
        Settings.model_validate(outside)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(ValidationError, match="gave no credential broker: LoadCredential=bro"):
        Settings.model_validate(given)


def test_S5_no_way_to_print_settings_shows_a_secret(figure: Figure) -> None:
    given = {"database": "postgresql+psycopg://u:rosebud@db/x", "broker": "redis://:rosebud@db/0"}
    settings = Settings.model_validate({"node": given})
    shown = [
        repr(settings),
        str(settings),
        f"{settings.node!r} {settings.node.broker} {settings.node.broker!r}",
        str(settings.model_dump()),
        settings.model_dump_json(),
        repr(Node(settings)),
        settings.digest,
    ]
    figure(f"{sum('rosebud' in one for one in shown)} of {len(shown)} ways to print show a secret")
    assert not any("rosebud" in one for one in shown)
    assert "rosebud" in settings.broker_url


class Door(Table):
    """A table as any module may declare one."""

    token: Secret
    kind: str = ""


class House(BaseModel):
    """A file that holds such tables one by one, and in lists."""

    door: Door | None = None
    doors: tuple[Door, ...] = ()


WRONG = [
    {"door": {"token": 1234567}},
    {"door": {"token": ["1234567"]}},
    {"door": {"token": {"a": "1234567"}}},
    {"doors": [{"token": "x"}, {"token": 1234567}]},
    {"doors": [{"token": "file:/no/such/file", "kind": "x"}]},
    {"door": {"tokn": "1234567"}},
]


@pytest.mark.parametrize("given", WRONG)
def test_S5_no_fault_repeats_what_stood_in_the_place_of_a_secret(
    given: dict[str, object], figure: Figure
) -> None:
    with pytest.raises(ValidationError) as raised:
        House.model_validate(given)
    said = sentences(Path("node.toml"), "", House, raised.value)
    figure(f"{sum('1234567' in one for one in said)} of {len(said)} faults repeat a secret")
    assert said
    assert not any("1234567" in one for one in said)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://u:rosebud@127.0.0.1:{port}/x",
        "postgresql+psycopg://u@127.0.0.1:{port}/x?password=rosebud",
        "postgresql+psycopg://127.0.0.1:rosebud/x",
        "rosebud://127.0.0.1/x",
        "rosebud",
    ],
)
def test_S5_no_fault_of_the_database_repeats_its_password(
    address: str, tmp_path: Path, figure: Figure
) -> None:
    node = {"data": tmp_path, "database": address.format(port=free_port())}
    with pytest.raises((Busy, Misconfigured)) as raised:
        ready(Node(Settings.model_validate({"node": node})))
    figure(f"{str(raised.value).count('rosebud')} times repeated")
    assert "rosebud" not in str(raised.value)


def test_redis_over_tls_is_asked_who_it_is(tmp_path: Path) -> None:
    authority, other = made_authority(tmp_path / "ours"), made_authority(tmp_path / "other")
    port = free_port()
    options = ["--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", ""]
    options += ["--requirepass", "rosebud", "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", f"{tmp_path}/ours/server.pem"]
    options += ["--tls-key-file", f"{tmp_path}/ours/server.key", "--tls-ca-cert-file", authority]
    server = PrivateProcess([program("redis-server"), *options], tmp_path / "redis.log")
    try:
        server.wait_until(lambda: answers(f"{url(port)}?ssl_ca_certs={authority}"))
        assert not answers(url(port)), "a certificate that nobody vouches for is refused"
        assert not answers(f"{url(port)}?ssl_ca_certs={other}"), "and one of another authority"
        plain = url(port).replace("rediss://", "redis://")
        assert not answers(plain), "nobody speaks in the clear where TLS is expected"
    finally:
        server.kill()


def url(port: int) -> str:
    return f"rediss://:rosebud@127.0.0.1:{port}/0"


def answers(address: str) -> bool:
    try:
        listen_for_answer(Settings.model_validate({"node": {"broker": address}}))
    except Busy:
        return False
    return True


def made_authority(folder: Path) -> str:
    """Make an authority and a server's certificate for 127.0.0.1 in a folder."""
    folder.mkdir()
    tell = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    tell += f" -keyout {folder}/server.key -out {folder}/server.pem -subj /CN=127.0.0.1"
    tell += " -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:TRUE"
    subprocess.run([program("openssl"), *tell.split()[1:]], check=True, capture_output=True)
    assert ssl.create_default_context(cafile=f"{folder}/server.pem")
    return f"{folder}/server.pem"


def test_a_private_redis_needs_no_password(private_redis: RedisServer) -> None:
    assert answers(private_redis.url)
