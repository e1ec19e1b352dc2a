"""The page in Chromium: it sorts, it shows, it plays, and no name in it runs anything."""

from __future__ import annotations

import time
from dataclasses import replace

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
    provenance_of,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from mbs_cli.scoring.comparison import Comparison, SystemScores
from mbs_cli.scoring.report.page import write_report
from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Summary

CLIP_SECONDS = CLIP_SAMPLES / RATE_HZ


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser, selector):
    return [found.text for found in browser.find_elements(By.CSS_SELECTOR, selector)]


def names(browser):
    """The names in the files table, top to bottom, without the note sign."""
    cells = texts(browser, "#file-table tbody th")
    return [cell.removesuffix("\u266a").strip() for cell in cells]


def column(browser, place):
    return texts(browser, f"#file-table tbody td:nth-child({place})")


def choose(browser, name):
    buttons = browser.find_elements(By.CSS_SELECTOR, "#file-table tbody button")
    wanted = next(found for found in buttons if found.text.startswith(name))
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", wanted)
    wanted.click()


def press_play(browser):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", find(browser, ".play"))
    find(browser, ".play").click()


def position(browser):
    return float(find(browser, ".seek").get_property("value"))


def wait(browser, condition):
    return WebDriverWait(browser, 10, poll_frequency=0.02).until(lambda _: condition())


def as_numbers(cells):
    return [float(cell.replace("\u2212", "-")) for cell in cells if cell != "n/a"]


def test_it_needs_no_network_and_its_summary_tells_the_means(open_page, page, comparison):
    browser = open_page(page)
    loaded = browser.execute_script("return performance.getEntriesByType('resource')")
    assert [entry for entry in loaded if not entry["name"].startswith("data:")] == []
    noisy = comparison.systems[0].summaries["si_sdr"]
    row = find(browser, "#summary-table tbody tr").text
    assert f"{noisy.mean:.1f}" in row
    assert f"{noisy.low:.1f} to {noisy.high:.1f}" in row
    assert "better" in row
    assert "5 of 6 scored" in find(browser, "#summary-table thead").text


def test_the_table_sorts_by_pointer_and_keyboard_and_what_has_no_value_comes_last(open_page, page):
    browser = open_page(page)
    head = find(browser, "#file-table thead th:nth-child(4)")
    assert head.get_attribute("aria-sort") == "none"
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", head)
    find(head, "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = column(browser, 4)
    assert as_numbers(rising) == sorted(as_numbers(rising))
    assert rising[-1] == "n/a"
    find(head, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    falling = column(browser, 4)
    assert as_numbers(falling) == as_numbers(rising)[::-1]
    assert falling[-1] == "n/a"
    assert browser.switch_to.active_element == find(head, "button")
    assert find(browser, "#file-table thead th").get_attribute("aria-sort") == "none"


def test_a_part_of_a_name_finds_files(open_page, page):
    browser = open_page(page)
    find(browser, "#filter").send_keys("FAN")
    assert names(browser) == ["es_fan_5db"]
    assert "1 of 6 files" in find(browser, "#shown").text


def test_choosing_a_metric_changes_everything_below(open_page, page):
    browser = open_page(page)
    before = column(browser, 3)
    find(browser, "#summary-table tbody tr:nth-child(2) button").click()
    assert "LSD" in find(browser, "#metric-heading").text
    assert "lower is better" in find(browser, "#metric-heading").text
    assert column(browser, 3) != before
    worst, best = (
        as_numbers(texts(browser, f"#{name} .figure:nth-child(2)")) for name in ("worst", "best")
    )
    assert worst == sorted(worst, reverse=True)
    assert best == sorted(best)
    assert max(best) <= min(worst)
    assert browser.find_elements(By.CSS_SELECTOR, "#distribution path.points")
    assert browser.find_elements(By.CSS_SELECTOR, "#scatter path.points")


def test_a_chosen_file_shows_every_version_and_why_a_score_is_missing(open_page, page):
    browser = open_page(page)
    for name in (HOSTILE_FILE, SILENT_FILE):
        choose(browser, name)
        assert find(browser, "#open-file").text == name
        assert browser.switch_to.active_element == find(browser, "#open-file")
    assert "estimate is silent" in find(browser, "#player").text
    marked = [name for name in names(browser) if name]
    with_sound = texts(browser, "#file-table tbody tr:has(.heard) th")
    assert len(with_sound) == MAX_FILES
    assert f"the sound of {MAX_FILES} of {len(marked)} files" in find(browser, "#heard").text
    choose(browser, with_sound[0].removesuffix("\u266a").strip())
    assert texts(browser, ".versions .system") == ["reference", "noisy", HOSTILE_SYSTEM]
    widths = browser.execute_script(
        "return [...document.querySelectorAll('.area img')].map((image) => image.naturalWidth)"
    )
    assert len(widths) == 3
    assert min(widths) > 100


def test_every_version_is_decoded_whole(open_page, page, comparison):
    browser = open_page(page)
    press_play(browser)
    wait(browser, lambda: position(browser) > 0)
    name = find(browser, "#open-file").text
    rows = [system.row(name) for system in comparison.systems]
    paths = [rows[0].reference, *(row.estimate for row in rows)]
    heard = browser.execute_script(
        "return listening.player.buffers.map((buffer) => {"
        "  const samples = buffer.getChannelData(0);"
        "  const power = samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length;"
        "  return [buffer.duration, Math.sqrt(power)]; })"
    )
    for path, (seconds, level) in zip(paths, heard, strict=True):
        samples, _ = soundfile.read(path)
        assert seconds == pytest.approx(CLIP_SECONDS, abs=0.001)
        assert level == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.02)


def test_playing_advances_and_a_switch_keeps_the_position(open_page, page):
    browser = open_page(page)
    press_play(browser)
    wait(browser, lambda: position(browser) > 0.2)
    assert find(browser, ".play").text == "Pause"
    started = browser.execute_script("return listening.player.startedAt")
    find(browser, "body").send_keys("1")
    wait(browser, lambda: position(browser) > 0.4)
    pressed = find(browser, ".versions [aria-pressed=true]").text
    assert "reference" in pressed
    gains = browser.execute_script(
        "return listening.player.voices.map(({ gain }) => gain.gain.value)"
    )
    assert gains == pytest.approx([1, 0, 0], abs=0.01)
    # The clock of all versions was not touched: what sounds now is at the very same position.
    assert browser.execute_script("return listening.player.startedAt") == started
    find(browser, ".play").click()
    stopped = position(browser)
    time.sleep(0.1)
    assert position(browser) == stopped
    find(browser, ".versions button:nth-child(2)").click()
    assert position(browser) == stopped


def test_a_click_into_a_spectrogram_goes_there_and_the_end_rewinds(open_page, page):
    browser = open_page(page)
    area = find(browser, ".spectrograms figure:nth-child(2) .area")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", area)
    area.click()
    assert position(browser) == pytest.approx(CLIP_SECONDS / 2, abs=0.05)
    assert "noisy" in find(browser, ".versions [aria-pressed=true]").text
    find(browser, "body").send_keys(" ")
    wait(browser, lambda: find(browser, "#player").get_attribute("data-state") == "playing")
    wait(browser, lambda: find(browser, "#player").get_attribute("data-state") == "paused")
    assert position(browser) == 0


def test_hostile_names_stay_text(open_page, page):
    browser = open_page(page)
    assert {HOSTILE_FILE, HOSTILE_NAME} <= set(names(browser))
    assert HOSTILE_SYSTEM in texts(browser, "#summary-table .system")
    assert HOSTILE_NAME in find(browser, "#provenance").text
    choose(browser, HOSTILE_NAME)
    for label in browser.find_elements(By.CSS_SELECTOR, "#summary-table .system"):
        label.click()
    assert browser.execute_script("return document.documentElement.dataset.hit") is None
    tags = "script:not([type]), b, img:not([src^='data:image/webp'])"
    assert len(browser.find_elements(By.CSS_SELECTOR, tags)) == 1  # the page's own script


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_phone_in_light_and_dark(open_page, page, scheme):
    browser = open_page(page, width=400, scheme=scheme)
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= 400
    colours = browser.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    ink, paper = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert (ink < paper) == (scheme == "light")
    assert abs(ink - paper) > 500


def test_without_metrics_it_is_for_listening(open_page, comparison, tmp_path):
    path = tmp_path / "listening.html"
    write_report(replace(comparison, metrics=(), differences=()), path, max_files=2)
    browser = open_page(path)
    assert not find(browser, "#summary").is_displayed()
    assert not find(browser, "#metric").is_displayed()
    assert texts(browser, "#file-table thead th") == ["File", "Seconds"]
    press_play(browser)
    wait(browser, lambda: position(browser) > 0)


def test_ten_thousand_files_sort_at_once(open_page, tmp_path):
    values = np.random.default_rng(0).normal(10.0, 3.0, (2, 10_000))
    systems = [
        SystemScores(
            name,
            tuple(PairScore(f"{i:05}", {"si_sdr": float(x)}) for i, x in enumerate(row)),
            {"si_sdr": Summary(10_000, 10.0)},
        )
        for name, row in zip(("old", "new"), values, strict=True)
    ]
    path = tmp_path / "many.html"
    write_report(Comparison(METRICS[:1], tuple(systems), (), provenance_of("")), path)
    browser = open_page(path)
    milliseconds = browser.execute_script(
        "const start = performance.now();"
        "document.querySelector('#file-table th:nth-child(3) button').click();"
        "document.body.offsetHeight; return performance.now() - start"
    )
    assert milliseconds < 1_000
    lowest = find(browser, "#file-table tbody td:nth-child(3)").text
    assert as_numbers([lowest])[0] == pytest.approx(values[1].min(), abs=0.05)
    rows = "return document.querySelectorAll('#file-table tbody tr').length"
    assert browser.execute_script(rows) == 50
    find(browser, "#more").send_keys(Keys.ENTER)
    assert browser.execute_script(rows) == 250
