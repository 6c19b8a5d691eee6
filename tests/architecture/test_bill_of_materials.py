"""What the node is made of: every package with its hash, written down, and asked about."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import ROOT
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from test_lock_file import locked, name_of

VIEWERS = ROOT / "tests" / "viewers" / "package-lock.json"


def test_S3_every_package_is_locked_with_its_hash_and_stands_in_the_bill(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    target = tmp_path / "sbom.json"
    subprocess.run([ROOT / "scripts" / "sbom", target], cwd=ROOT, check=True, capture_output=True)
    text = target.read_text(encoding="utf-8")
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    listed = {one["purl"]: one for one in json.loads(text)["components"]}
    pins = {
        f"pkg:pypi/{name_of(pin)}@{next(iter(pin.specifier)).version}": lines
        for pin, lines in locked()
    }
    hashed = [
        purl
        for purl, lines in pins.items()
        if f"sha256:{_hashes(listed[purl])[0]}" in lines.replace(" ", "")
    ]
    figure(
        f"{len(hashed)} of {len(pins)} pins hashed and in the bill, "
        f"which is {'in' if fault else ''}valid CycloneDX 1.6"
    )
    assert fault is None
    assert len(hashed) == len(pins) == len(listed)


def _hashes(component: dict[str, object]) -> list[str]:
    references = component["externalReferences"]
    assert isinstance(references, list)
    return [told["content"] for one in references for told in one.get("hashes", ())]


def test_S3_every_package_of_the_viewers_has_its_hash(figure: Callable[[str], None]) -> None:
    packages = json.loads(VIEWERS.read_text(encoding="utf-8"))["packages"]
    fetched = {name: one for name, one in packages.items() if name}
    hashed = [name for name, one in fetched.items() if str(one["integrity"]).startswith("sha512-")]
    figure(f"{len(hashed)} of {len(fetched)} packages of the viewers hashed")
    assert hashed == list(fetched)


@pytest.mark.parametrize(("option", "status"), [([], os.EX_TEMPFAIL), (["--where-possible"], 0)])
def test_an_audit_that_reaches_nobody_says_so(option: list[str], status: int) -> None:
    nobody = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    lower = {name.lower(): value for name, value in nobody.items()}
    ended = subprocess.run(
        [ROOT / "scripts" / "audit", *option],
        cwd=ROOT,
        env={**os.environ, **nobody, **lower, "NO_PROXY": "", "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.startswith("NOT AUDITED: ")
    assert ended.returncode == status
