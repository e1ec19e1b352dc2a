"""The page as a file: whole or not at all, and never in the place of a recording."""

from __future__ import annotations

import json
import os
import re

import pytest
from report_case import HOSTILE_NAME, METRICS, compared, summarised

from mbs_cli.errors import UsageError
from mbs_cli.scoring.report.page import write_report
from mbs_cli.scoring.score import PairScore

DATA = re.compile(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', re.DOTALL)


def comparison_of(*rows):
    return compared([summarised("system", rows, METRICS)], METRICS)


def test_no_name_can_end_the_data_it_stands_in(page):
    text = page.read_text(encoding="ascii")
    assert HOSTILE_NAME not in text
    blocks = {name: json.loads(content) for name, content in DATA.findall(text)}
    assert HOSTILE_NAME in [file["name"] for file in blocks["report"]["files"]]
    assert text.count("<script") == len(blocks) + 1


def test_a_failure_leaves_the_old_page_and_nothing_else(tmp_path):
    path = tmp_path / "report.html"
    write_report(comparison_of(PairScore("fine", {"si_sdr": 1.0})), path)
    old = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_report(comparison_of(PairScore("bad", {"si_sdr": float("nan")})), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_read_is_named_on_the_page(tmp_path):
    path = tmp_path / "report.html"
    gone = PairScore("gone", {"si_sdr": 1.0}, reference="gone.wav", estimate="gone too.wav")
    write_report(comparison_of(gone), path)
    assert "gone too.wav: there is no such file" in path.read_text()


def test_names_need_not_be_utf_8(tmp_path):
    path = tmp_path / "report.html"
    write_report(comparison_of(PairScore(os.fsdecode(b"caf\xe9"), {"si_sdr": 1.0})), path)
    assert "caf\\udce9" in path.read_text(encoding="ascii")


@pytest.mark.parametrize("name", ["speech.wav", "report"])
def test_only_html_files_are_written(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(UsageError, match="HTML"):
        write_report(comparison_of(), tmp_path / name)
    assert (tmp_path / name).read_text() == "precious"


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(comparison_of(), tmp_path / "file" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="folder"):
        write_report(comparison_of(), tmp_path / "folder.html")
