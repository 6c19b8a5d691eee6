"""The units of deploy/ are understood by systemd, and leave little to an intruder."""

import re
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT
from private_process import program

UNITS = sorted((ROOT / "deploy").glob("*.service"))
EXPOSURE = 20  # tenths; systemd calls 1.0 to 1.9 "OK", and a service without any of it 9.6
OF_ALL = {
    *("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"),
    *("RestrictSUIDSGID=yes", "RestrictNamespaces=yes", "SystemCallFilter=@system-service"),
    *("UMask=0077", "LimitCORE=0", "LimitNOFILE=65536", "User=fourviews", "RemoveIPC=yes"),
    *("StateDirectoryMode=0700", "ProtectProc=invisible", "SystemCallArchitectures=native"),
}

AS_TYPED = {
    *("EnvironmentFile", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "UMask"),
    *("LimitCORE", "NoNewPrivileges"),
}
OF_THE_PORT = {"AmbientCapabilities", "CapabilityBoundingSet"}  # `check` tries it, be it 104


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """Copy the units, with a program that is there in the place of the node's."""
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name.replace("@.", "@analyze.")
        text = unit.read_text(encoding="utf-8")
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
        copies.append(copy)
    return copies


def test_systemd_understands_every_unit(installed: list[Path]) -> None:
    for unit in installed:
        asked = [program("systemd-analyze"), "verify", "--man=no", str(unit)]
        ended = subprocess.run(asked, capture_output=True, text=True, check=False)
        own = [line for line in ended.stderr.splitlines() if "fourviews" in line]
        assert own == []
        assert ended.returncode == 0, ended.stderr


def test_every_unit_is_a_narrow_cell(installed: list[Path]) -> None:
    for unit in installed:
        asked = [program("systemd-analyze"), "security", "--offline=true", "--no-pager"]
        asked += [f"--threshold={EXPOSURE}", str(unit)]
        ended = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout.splitlines()[-1]


def test_a_command_typed_by_hand_is_run_as_the_units_are(tmp_path: Path) -> None:
    """What systemd-run is asked for; that systemd does it was seen with systemd 252."""
    asked = tmp_path / "systemd-run"
    asked.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    asked.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    def run(**more: str) -> list[str]:
        typed = [ROOT / "deploy" / "dicom-node-admin", "trace", "a b", "--json"]
        return subprocess.run(
            typed, capture_output=True, text=True, check=True, env=environment | more
        ).stdout.splitlines()

    told = run()
    assert told[told.index("--") + 2 :] == ["trace", "a b", "--json"]
    assert {"--pipe", "--pty", "--wait", "--collect"} <= set(told)
    for unit in UNITS:
        lines = unit.read_text(encoding="utf-8").splitlines()
        assert unit.name.startswith("fourviews-"), "else fourviews-.service.d does not hold for it"
        for line in lines:
            key, _, value = line.partition("=")
            if key in AS_TYPED or (key in OF_THE_PORT and unit.name == "fourviews-listen.service"):
                assert f"--property={line}" in told
            elif key == "User":
                assert f"--uid={value}" in told
            elif key == "Environment":
                assert f"--setenv={value}" in told
            elif key == "ExecStart":
                assert value.split()[0] == told[told.index("--") + 1]
    assert any(one.startswith("--unit=fourviews-") for one in told)
    other = run(FOURVIEWS_CONFIG="/x/node.toml", FOURVIEWS_SECRETS="/x/owner")
    assert "--setenv=FOURVIEWS_CONFIG=/x/node.toml" in other
    assert "--property=EnvironmentFile=/x/owner" in other
    security = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert "/etc/systemd/system/fourviews-.service.d/" in security


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_unit_says_what_all_of_them_do(unit: Path) -> None:
    lines = set(unit.read_text(encoding="utf-8").splitlines())
    assert OF_ALL - lines == set()
    assert any(line.startswith("MemoryMax=") for line in lines)
    assert any(line.startswith("TasksMax=") for line in lines)
