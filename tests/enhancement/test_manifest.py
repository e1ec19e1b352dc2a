"""A manifest names files and tells how it went, whatever happens to the run."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mbs_cli
from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.enhancement.manifest import read_manifest
from mbs_cli.enhancement.plan import parse_shard
from mbs_cli.enhancement.report import Status
from mbs_cli.errors import UsageError


@pytest.fixture
def folder(tmp_path, noisy_speech, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "deep/b.wav", "deep/c, d.wav", "deep/caf\u00e9.wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noisy_speech[:4_000], 16_000)
    return tmp_path / "in"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_has_one_row(folder, tmp_path, passthrough):
    (folder / "broken.wav").write_bytes(b"nothing")
    table = tmp_path / "table.csv"
    for _ in range(2):
        mbs_cli.enhance_paths([folder], "out", model=passthrough, manifest=table)
        rows = rows_of(table)
        assert [row["status"] for row in rows].count("done") == 4
        assert sorted(row["path"] for row in rows) == sorted(map(str, folder.rglob("*.wav")))
        (failed,) = (row for row in rows if row["status"] == "failed")
        assert "not an audio file" in failed["error"]
        (comma,) = (row for row in rows if "c, d" in row["path"])
        assert (comma["seconds"], comma["gain_db"]) == ("0.250000", "0.000")
        assert comma["output"] == str(Path("out/deep/c, d.wav"))


def test_a_manifest_names_the_files(folder, tmp_path, passthrough):
    table = tmp_path / "list.csv"
    table.write_text("speaker,path\nann,in/a.wav\nbob,in/deep/b.wav")
    report = mbs_cli.enhance_paths([], "out", model=passthrough, manifest=table)
    assert [str(file.target) for file in report.files] == ["out/a.wav", "out/deep/b.wav"]
    assert [(row["speaker"], row["status"]) for row in rows_of(table)] == [
        ("ann", "done"),
        ("bob", "done"),
    ]


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_table_that_a_spreadsheet_saved_is_read_and_stays_its_own(
    delimiter, start, folder, tmp_path, passthrough
):
    table = tmp_path / "list.csv"
    names = ["in/a.wav", '"in/deep/c, d.wav"', "in/deep/caf\u00e9.wav"]
    lines = ["path;note", *(f"{name};x" for name in names)]
    table.write_text(start + "\r\n".join(lines).replace(";", delimiter) + "\r\n", newline="")
    for status in (Status.DONE, Status.SKIPPED):
        report = mbs_cli.enhance_paths([], "out", model=passthrough, manifest=table)
        assert report.count(status) == len(names)
    content = table.read_text(encoding="utf-8")
    assert content.startswith(f"{start}path{delimiter}output{delimiter}status")
    assert [(row["note"], row["status"]) for row in read_manifest(table)] == [("x", "done")] * 3


def test_its_outputs_are_taken_as_they_were(folder, tmp_path, passthrough):
    table = tmp_path / "table.csv"
    mbs_cli.enhance_paths([folder / "deep"], "out", model=passthrough, manifest=table)
    (tmp_path / "out/b.wav").unlink()
    report = mbs_cli.enhance_paths([], "out", model=passthrough, manifest=table)
    assert (report.count(Status.DONE), report.count(Status.SKIPPED)) == (1, 2)
    assert (tmp_path / "out/b.wav").is_file()


def test_another_format_names_the_outputs_and_has_to_be_given_again(folder, tmp_path, passthrough):
    table = tmp_path / "list.csv"
    table.write_text("path\nin/a.wav\nin/deep/b.wav\n")
    options = {"model": passthrough, "manifest": table}
    flac = OutputFormat(container="flac")
    mbs_cli.enhance_paths([], "out", output_format=flac, **options)
    assert [row["output"] for row in rows_of(table)] == ["out/a.flac", "out/deep/b.flac"]
    with pytest.raises(UsageError, match=r"out/a\.flac: .* another suffix"):
        mbs_cli.enhance_paths([], "out", **options)
    assert mbs_cli.enhance_paths([], "out", output_format=flac, **options).count(
        Status.SKIPPED
    ) == len(rows_of(table))


def test_the_gain_of_a_file_is_in_its_row(tmp_path, passthrough, noisy_speech):
    loud = 2 * noisy_speech[:4_000] / np.abs(noisy_speech[:4_000]).max()
    soundfile.write(tmp_path / "loud.wav", loud, 16_000, subtype="FLOAT")
    wanted = OutputFormat(subtype="PCM_16", clip=ClipPolicy.RESCALE)
    table = tmp_path / "table.csv"
    report = mbs_cli.enhance_paths(
        [tmp_path / "loud.wav"],
        tmp_path / "out",
        model=passthrough,
        output_format=wanted,
        manifest=table,
    )
    assert rows_of(table)[0]["gain_db"] == "-6.021"
    assert report.to_json()["files"][0]["gain_db"] == -6.021


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name\na.wav\n", "no column 'path' among its columns name"),
        ("Path;File name\na.wav;b\n", "no column 'path' among its columns Path, File name"),
        ("path;output\na.wav;b.wav;c.wav\n", "row 2"),
        ("path\na.wav,b.wav\n", "row 2"),
        ("path\na.wav\n\n\n,\n", "row"),
        ("path,output\nin/a.wav,../elsewhere.wav\n", "outside of the output folder"),
        ("path,output\nin/a.wav,out/../in/deep/b.wav\n", "outside of the output folder"),
        ("path\n/in/a.wav\nin/a.wav\n", "absolute and by relative"),
        ('path\n"in/a.wav', "cannot be read"),
        ("path\nin/\0.wav\n", "row 2"),
        ("path\n", "no files"),
    ],
)
def test_a_table_that_is_none_is_refused(text, found, folder, tmp_path, passthrough):
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=found):
        mbs_cli.enhance_paths([], "out", model=passthrough, manifest=table)
    assert table.read_text() == text
    assert not (tmp_path / "out").exists()


def test_tables_that_cannot_be_read_or_written_are_named(folder, tmp_path, passthrough):
    with pytest.raises(UsageError, match=r"none\.csv"):
        mbs_cli.enhance_paths([], "out", model=passthrough, manifest="none.csv")
    with pytest.raises(UsageError, match=r"a\.wav.t\.csv"):
        mbs_cli.enhance_paths([folder], "out", model=passthrough, manifest=folder / "a.wav/t.csv")


def test_shards_divide_the_files_and_keep_tables_of_their_own(folder, tmp_path, passthrough):
    table = tmp_path / "table.csv"
    mbs_cli.enhance_paths([folder], "first", model=passthrough, manifest=table)
    table.write_text(table.read_text().replace("first", "out"))
    before, done = table.read_text(), []
    for number in (1, 2, 3):
        report = mbs_cli.enhance_paths(
            [], "out", model=passthrough, manifest=table, shard=(number, 3)
        )
        done += [file.source for file in report.files]
        assert len(rows_of(tmp_path / f"table.{number}-of-3.csv")) == len(report.files)
    assert sorted(done) == sorted(folder.rglob("*.wav"))
    assert table.read_text() == before


def test_shards_that_cannot_be_are_refused(folder, passthrough):
    assert parse_shard("2/10") == (2, 10)
    for text in ("2", "a/b", "1/", "-1/2", "1.0/2", ""):
        with pytest.raises(UsageError, match="--shard"):
            parse_shard(text)
    for shard in ((0, 2), (3, 2), (1, 0)):
        with pytest.raises(UsageError, match="--shard"):
            mbs_cli.enhance_paths([folder], "out", model=passthrough, shard=shard)


def test_a_line_is_there_as_soon_as_its_file_is(folder, tmp_path, passthrough):
    table = tmp_path / "table.csv"
    seen = []

    def look(_event):
        seen.append(len(read_manifest(table)))

    mbs_cli.enhance_paths([folder], "out", model=passthrough, manifest=table, on_event=look)
    assert set(np.diff(seen)) == {0, 1}
    assert seen[-1] == 4


def test_several_rows_of_one_file_all_stay_and_are_told(folder, tmp_path, passthrough):
    table = tmp_path / "list.csv"
    rows = "in/a.wav,0.0,ann\nin/a.wav,0.1,ben\nin/deep/b.wav,0.0,ann\nin/a.wav,0.2,ann\n"
    table.write_text("path,start,speaker\n" + rows)
    for status in ("done", "done"):  # the second run skips them, and knows more
        mbs_cli.enhance_paths([], "out", model=passthrough, manifest=table)
        found = [(row["path"], row["start"], row["speaker"]) for row in rows_of(table)]
        assert [",".join(row) for row in found] == rows.split()
        assert {row["status"] for row in rows_of(table)} == {status}


def test_two_outputs_of_one_file_are_two_rows(folder, tmp_path, passthrough):
    table = tmp_path / "list.csv"
    table.write_text("path,output\nin/a.wav,out/1.wav\nin/a.wav,out/2.wav\n")
    mbs_cli.enhance_paths([], "out", model=passthrough, manifest=table)
    assert [(row["output"], row["status"]) for row in rows_of(table)] == [
        ("out/1.wav", "done"),
        ("out/2.wav", "done"),
    ]


def test_a_carriage_return_in_a_name_ends_no_row(folder, tmp_path, passthrough):
    (folder / "a.wav").rename(folder / "a\rb.wav")
    table = tmp_path / "table.csv"
    for _ in range(2):
        mbs_cli.enhance_paths([folder], "out", model=passthrough, manifest=table)
        assert str(folder / "a\rb.wav") in {row["path"] for row in rows_of(table)}
        assert len(rows_of(table)) == 4
