"""`mbs enhance --report`: the page of a run, without references."""

from __future__ import annotations

import shutil

import pytest
import soundfile
from selenium.webdriver.common.by import By

from mbs_cli.scoring.report.before_after import (
    LONGEST_RATED_SECONDS,
    BeforeAfter,
    compare_before_after,
)
from mbs_cli.scoring.report.page import write_report


@pytest.fixture
def source(tmp_path, noisy_speech):
    path = tmp_path / "in" / "a <b>.wav"
    path.parent.mkdir()
    soundfile.write(path, noisy_speech[:24_000], 16_000)
    return path


def test_the_command_writes_a_page_of_what_it_did_now_or_earlier(
    run_mbs, small_checkpoint, source, tmp_path, open_page
):
    done_earlier = tmp_path / "in" / "earlier.wav"
    shutil.copy(source, done_earlier)
    (tmp_path / "out").mkdir()
    shutil.copy(source, tmp_path / "out" / done_earlier.name)
    result = run_mbs(
        *("enhance", "in", "gone.wav", "-o", "out", "--model", small_checkpoint),
        *("--report", "page.html"),
    )
    assert result.returncode == 1, result.stderr
    assert "report: page.html" in result.stderr
    browser = open_page(tmp_path / "page.html")
    assert browser.title == "Before and after enhancement"
    names = browser.find_elements(By.CSS_SELECTOR, "#file-table .name")
    assert [name.text.split("\u266a")[0] for name in names] == ["in/a <b>.wav", "in/earlier.wav"]
    versions = browser.find_elements(By.CSS_SELECTOR, ".versions .system")
    assert [version.text for version in versions] == ["before", "after"]
    assert "weights SHA-256" in browser.find_element(By.ID, "provenance").text


def test_a_page_that_could_not_be_written_stops_the_command_before_any_work(
    run_mbs, small_checkpoint, source, tmp_path
):
    before = source.read_bytes()
    result = run_mbs(
        *("enhance", "in", "-o", "out", "--model", small_checkpoint, "--report", source)
    )
    assert result.returncode == 2
    assert "HTML" in result.stderr
    assert source.read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_files_too_long_to_rate_and_no_files_at_all_make_a_page(source, tmp_path, open_page):
    long = BeforeAfter("long", source, source, LONGEST_RATED_SECONDS + 1)
    for files in ([long], []):
        path = tmp_path / f"{len(files)}.html"
        write_report(compare_before_after(files), path)
        browser = open_page(path)
        assert len(browser.find_elements(By.CSS_SELECTOR, "#file-table tbody tr")) == len(files)
