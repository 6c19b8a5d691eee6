"""The status page in a real browser, over TLS, from a process of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from free_ports import free_port
from ohif_page import chromium
from playwright.sync_api import Page, expect
from private_process import program
from running_node import RunningNode, running_node

from dicom_node.watching.page.login import hashed

pytestmark = pytest.mark.journey

SHOTS = Path("build/artifacts")
PASSWORD = "correct horse battery"  # noqa: S105 - of a node that lives for a test


def with_a_page(node: RunningNode, folder: Path) -> int:
    """Let a node serve its page over TLS, and say on which port."""
    port = free_port()
    tell = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    tell += f" -keyout {folder}/page.key -out {folder}/page.pem -subj /CN=localhost"
    subprocess.run([program("openssl"), *tell.split()], check=True, capture_output=True)
    (folder / "page.key").chmod(0o600)
    with node.config.open("a") as settings:
        settings.write(
            f'[watching.page]\nport = {port}\ncertificate = "{folder}/page.pem"\n'
            f'private_key = "{folder}/page.key"\n'
            f'[[watching.page.users]]\nname = "night-shift"\npassword = "{hashed(PASSWORD)}"\n'
        )
    return port


def log_in(page: Page, password: str) -> None:
    page.get_by_label("Name").fill("night-shift")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_S6_a_browser_logs_in_sees_where_everything_stands_and_logs_out(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    with running_node(tmp_path / "node", []) as node, chromium() as browser:
        port = with_a_page(node, tmp_path)
        assert node.run("migrate").returncode == 0
        node.start("page")
        node.wait_until(lambda: "the status page is served" in node.log(), "serving its page")
        loaded = process_maps(node.processes["page"].pid)
        window = {"width": 1200, "height": 800}
        context = browser.new_context(ignore_https_errors=True, viewport=window)
        page, errors = context.new_page(), list[str]()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(f"https://localhost:{port}/")
        expect(page).to_have_title("Log in")
        log_in(page, "a wrong password")
        expect(page.get_by_role("alert")).to_contain_text("not known here")
        errors.clear()  # the browser calls a 403 an error
        log_in(page, PASSWORD)
        expect(page.get_by_role("heading", name="FOURVIEWS")).to_be_visible()
        expect(page.get_by_text("For research use only")).to_be_visible()
        (cookie,) = context.cookies()
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / "status_page.png")
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=SHOTS / "status_page_dark.png")
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_title("Log in")
        page.goto(f"https://localhost:{port}/")
        expect(page).to_have_title("Log in")
        whats = [event.what for event in node.questions.last_events(9)]
        figure(
            f"Chromium logged in and out over TLS, {len(errors)} errors in its console, "
            f"audited: {', '.join(whats)}"
        )
        assert errors == []
        assert (cookie["name"], cookie["httpOnly"]) == ("__Host-session", True)
        assert (cookie["secure"], cookie["sameSite"]) == (True, "Strict")
        assert whats == ["login refused", "login", "logout"]
        assert "libtorch" not in loaded


def process_maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()
