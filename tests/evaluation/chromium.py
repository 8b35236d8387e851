"""A real browser for tests, and what they ask of a page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """Yield headless Chromium, as Debian packages it; skip the test where there is none."""
    program = shutil.which("chromium")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian's chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--autoplay-policy=no-user-gesture-required",  # scripts press play here
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    try:
        yield browser
    finally:
        browser.quit()


def resize(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def run(browser: webdriver.Chrome, script: str, *arguments: object) -> Any:
    return browser.execute_script(f"return {script}", *arguments)


def wait(browser: webdriver.Chrome, script: str) -> None:
    WebDriverWait(browser, 20, 0.05).until(lambda found: run(found, script), script)


def rows(browser: webdriver.Chrome, selector: str) -> list[list[str]]:
    return run(
        browser,
        "[...document.querySelector(arguments[0]).tBodies[0].rows]"
        ".map(row => [...row.cells].map(cell => cell.textContent.trim()))",
        selector,
    )


def text(value: float) -> str:
    if np.isnan(value):
        return "–"
    if 100 < value < np.inf:
        return ">100"
    if np.isinf(value):
        return "∞"
    return "0.00" if abs(value) < 0.005 else f"{value:.2f}".replace("-", "−")
