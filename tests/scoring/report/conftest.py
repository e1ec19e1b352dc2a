"""A comparison of real recordings, and a real browser to open its page in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from report_case import (
    CLIP_SAMPLES,
    HOSTILE_FILE,
    HOSTILE_NAME,
    HOSTILE_SYSTEM,
    MAX_FILES,
    METRICS,
    RATE_HZ,
    SILENT_FILE,
    compared,
    summarised,
)
from selenium import webdriver

from mbs_cli.scoring.comparison import Comparison
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.report.page import write_report
from mbs_cli.scoring.score import PairScore, score_pair

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-quic", "--hide-scrollbars"),
)


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Noisy speech and half as noisy speech; two files have names that try to be markup."""
    folder = tmp_path_factory.mktemp("audio")
    examples = Path(__file__).resolve().parents[3] / "examples"
    stems = sorted(path.stem for path in (examples / "clean").glob("*.flac"))[:6]
    names = {stems[0]: HOSTILE_FILE, stems[1]: HOSTILE_NAME}
    rows: dict[str, list[PairScore]] = {"noisy": [], HOSTILE_SYSTEM: []}
    for stem in stems:
        clean, noisy = (
            soundfile.read(examples / kind / f"{stem}.flac", frames=CLIP_SAMPLES)[0]
            for kind in ("clean", "noisy")
        )
        better = np.zeros_like(clean) if stem == SILENT_FILE else 0.5 * (clean + noisy)
        file_name = f"{names.get(stem, stem).replace('/', '_')}.flac"
        paths = [folder / kind / file_name for kind in ("clean", "noisy", "better")]
        for path, samples in zip(paths, (clean, noisy, better), strict=True):
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, samples, RATE_HZ)
        for system, path in zip(rows, paths[1:], strict=True):
            pair = ScorePair(names.get(stem, stem), paths[0], path)
            rows[system].append(score_pair(pair, METRICS))
    systems = [
        summarised(name, found, METRICS, is_noisy=name == "noisy") for name, found in rows.items()
    ]
    return compared(systems, METRICS)


@pytest.fixture(scope="session")
def page(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(comparison, path, max_files=MAX_FILES)
    return path


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with chromedriver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def open_page(chromium: webdriver.Chrome) -> Iterator[Callable[..., webdriver.Chrome]]:
    """Open a page in a window of some width; at the end the console must have stayed empty."""

    def open_in_browser(path: Path, width: int = 1280, scheme: str = "light") -> webdriver.Chrome:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get(path.as_uri())
        return chromium

    yield open_in_browser
    assert chromium.get_log("browser") == []
