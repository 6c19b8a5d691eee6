"""OHIF in a real browser, driven by its buttons and looked at by its pixels.

Coordinates are DICOM's: (column, row) in pixels of the stored image, 0\\0 its outer corner.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [  # where there is no graphics card, WebGL falls back to a software one by itself
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WINDOW = {"width": 1600, "height": 1000}
PATIENCE_SECONDS = 120.0

Points = Sequence[tuple[float, float]] | NDArray[np.float64]
Colors = NDArray[np.int64]  # (..., red green blue)
Color = Callable[[Colors], NDArray[np.bool_]]

# Which image each viewport shows, once it shows it.
VIEWPORTS = """() => {
    const { viewportGridService: grid, cornerstoneViewportService: shown } = window.services;
    const found = {};
    for (const id of grid.getState().viewports.keys()) {
        const viewport = shown.getCornerstoneViewport(id);
        const image = viewport?.getCurrentImageId?.();
        const uid = image?.split('/instances/')[1].split('/')[0];
        if (uid && viewport.getImageData()) found[uid] = id;
    }
    return found;
}"""
# Where pixels of the image lie on the screen.
PLACES = """([id, points]) => {
    const viewport = window.services.cornerstoneViewportService.getCornerstoneViewport(id);
    const { imageData } = viewport.getImageData();
    const frame = viewport.element.getBoundingClientRect();
    return points.map(([column, row]) => {
        const [x, y] = viewport.worldToCanvas(imageData.indexToWorld([column - 0.5, row - 0.5, 0]));
        return [x + frame.left, y + frame.top];
    });
}"""
FRAME = """(id) => {
    const viewport = window.services.cornerstoneViewportService.getCornerstoneViewport(id);
    const { left, top, right, bottom } = viewport.element.getBoundingClientRect();
    return [left, top, right, bottom];
}"""
SETS = """() => window.services.displaySetService.activeDisplaySets.map((one) => ({
    modality: one.Modality, description: one.SeriesDescription ?? '', loaded: one.isLoaded === true,
    unsupported: one.unsupported === true,
    measured: (one.measurements ?? []).map((mark) => [mark.loaded, mark.imageId,
        mark.coords.map((coord) => [coord.GraphicType, coord.GraphicData.flat().length / 2])]),
}))"""


class OhifPage:
    """One fresh visit to OHIF: its own context, with nothing remembered."""

    def __init__(self, page: Page, address: str) -> None:
        self.errors: list[str] = []
        self._page, self._address = page, address
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)

    def open(self, study_uid: str, images: Collection[str]) -> None:
        """Open a study in a grid of plain viewports, and wait until each shows its image."""
        layout = "hangingProtocolId=@ohif/mnGrid"  # its own mammography layout fails on reports
        self._page.goto(f"{self._address}/viewer?StudyInstanceUIDs={study_uid}&{layout}")
        self._page.get_by_text("Skip all").first.click(timeout=1000 * PATIENCE_SECONDS)
        self.wait_until(lambda: self.viewports().keys() == set(images), "each image is shown")

    def viewports(self) -> dict[str, str]:
        """Return the viewport of each image that is shown, by SOP instance UID."""
        return dict(self._page.evaluate(VIEWPORTS))

    def choose(self, image_uid: str) -> None:
        """Click on an image, so that what is opened next goes there."""
        left, _, right, bottom = self.frame(image_uid)
        self._page.mouse.click((left + right) / 2, bottom - 12)

    def open_series(self, description: str) -> None:
        """Double-click a series in the list."""
        self._page.get_by_text(description).first.dblclick()

    def say_yes(self) -> None:
        """Answer that a segmentation is wanted."""
        button = self._page.get_by_role("button", name="Yes", exact=True)
        button.first.click(timeout=1000 * PATIENCE_SECONDS)

    def series(self, description: str) -> dict[str, Any]:
        """Return what OHIF itself says of a series."""
        return next(
            one
            for one in self._page.evaluate(SETS)
            if one["description"].startswith(description) and one["modality"] in {"SR", "SEG"}
        )

    def text_is_shown(self, words: str) -> bool:
        """Say whether words stand on the page."""
        return self._page.get_by_text(words).first.is_visible()

    def frame(self, image_uid: str) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of an image's viewport on the screen."""
        left, top, right, bottom = self._page.evaluate(FRAME, self.viewports()[image_uid])
        return int(left), int(top), int(right), int(bottom)

    def places(self, image_uid: str, points: Points) -> NDArray[np.float64]:
        """Return where points of an image lie on the screen, as (x, y)."""
        asked = [[float(column), float(row)] for column, row in points]
        found = self._page.evaluate(PLACES, [self.viewports()[image_uid], asked])
        return np.array(found, dtype=np.float64)

    def screen(self, path: Path | None = None) -> Colors:
        """Look at the screen, and keep the picture where a path is given."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.open(BytesIO(self._page.screenshot(path=path))).convert("RGB")
        return np.asarray(picture).astype(np.int64)

    def wait_until(
        self, true: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait for a condition; say what never came true."""
        if not self.comes_true(true, seconds):
            raise AssertionError(f"never: {what}; the page's errors: {self.errors}")

    def comes_true(self, true: Callable[[], object], seconds: float) -> bool:
        """Wait for a condition, and say whether it came true."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            self._page.wait_for_timeout(200)
        return True

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium for the length of the block."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed; `make system` as root installs it")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def fresh_page(browser: Browser, address: str) -> Iterator[OhifPage]:
    """Visit OHIF for the first time."""
    context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
    try:
        yield OhifPage(context.new_page(), address)
    finally:
        context.close()


def seen_at(screen: NDArray[Any], places: NDArray[np.float64]) -> NDArray[Any]:
    """Return what is on the screen at these places."""
    columns, rows = places.astype(np.int64).T
    return np.asarray(screen[rows.clip(0, len(screen) - 1), columns.clip(0, len(screen[0]) - 1)])


def is_orange(colors: Colors) -> NDArray[np.bool_]:
    """Say where the color of masses is: more red than green, more green than blue."""
    red, green, blue = (colors[..., place] for place in range(3))
    return (red - blue > 40) & (red >= green) & (green >= blue)


def is_green(colors: Colors) -> NDArray[np.bool_]:
    """Say where the color is with which OHIF draws the marks of reports."""
    red, green, blue = (colors[..., place] for place in range(3))
    return (green - red > 60) & (green - blue > 60)
