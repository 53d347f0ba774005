"""Headless Chromium without a network, for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("Chromium is not installed (Debian: chromium, chromium-driver)", allow_module_level=True)

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["By", "WebDriverWait", "assert_no_complaints", "in_view", "open_chromium", "too_wide"]


@contextmanager
def open_chromium() -> Iterator[Any]:
    """Open a browser that reaches nothing: what a page needs must be in it."""
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--enable-unsafe-swiftshader",
        "--window-size=1200,900",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


def in_view(report: Any, element: Any) -> Any:
    """Scroll to an element and return it."""
    report.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def assert_no_complaints(report: Any) -> None:
    """Fail if the browser has warned of anything since the last time."""
    complaints = [entry for entry in report.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    # How fast a software renderer reads its canvas back is about this browser, not about the page.
    slow = ("GPU stall", "Canvas2D: Multiple readback")
    assert [entry["message"] for entry in complaints if not any(words in entry["message"] for words in slow)] == []


def too_wide(report: Any) -> list[str]:
    """Return what is wider than the screen of a telephone; what scrolls by itself (tables, code) may be."""
    report.set_window_size(500, 900)
    try:
        found: list[str] = report.execute_script("""
            const root = document.documentElement;
            const scrolls = ".scroll, .plot, nav .wide, pre";
            return [...document.querySelectorAll("body *")]
                .filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1 && !part.closest(scrolls))
                .map((part) => part.outerHTML.slice(0, 400));
        """)
    finally:
        report.set_window_size(1200, 900)
    return found
