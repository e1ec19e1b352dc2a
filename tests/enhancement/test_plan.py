"""Where outputs go is settled, and mistakes are found, before anything is touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mbs_cli.audio.folder import audio_files
from mbs_cli.enhancement.plan import plan_jobs
from mbs_cli.errors import AudioError, UsageError


@pytest.fixture
def tree(tmp_path, noisy_file):
    for name in ("in/a.flac", "in/deep/er/b.FLAC", "other/a.flac", "in/notes.txt", "in/.c.flac"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(noisy_file, path)
    return tmp_path


def targets(paths, output):
    return [job.target for job in plan_jobs(paths, output).jobs]


def test_a_folder_keeps_its_tree(tree):
    out = tree / "out"
    assert targets([tree / "in"], out) == [out / "a.flac", out / "deep/er/b.FLAC"]


def test_one_file_goes_into_a_folder_or_to_a_file_of_its_suffix(tree):
    source = tree / "in/a.flac"
    assert targets([source], tree / "out") == [tree / "out/a.flac"]
    assert targets([source], tree / "v1.2") == [tree / "v1.2/a.flac"]
    assert targets([source], tree / "clean.flac") == [tree / "clean.flac"]
    with pytest.raises(UsageError, match="keeps the format"):
        plan_jobs([source], tree / "clean.mp3")


def test_a_file_named_twice_is_one_job(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert len(targets([tree / "in/a.flac", tree / "in/../in/a.flac"], tree / "out")) == 1


def test_missing_paths_and_empty_folders_do_not_stop_the_others(tree):
    (tree / "empty").mkdir()
    plan = plan_jobs([tree / "nowhere", tree / "empty", tree / "in"], tree / "out")
    assert len(plan.jobs) == 2
    assert [path.name for path, _ in plan.unusable] == ["nowhere", "empty"]


def test_output_in_the_input_folder_is_refused(tree):
    for output in (tree / "in", tree / "in/out", tree / "in/../in/out"):
        with pytest.raises(UsageError, match="input folder"):
            plan_jobs([tree / "in"], output)


def test_output_over_an_input_is_refused_however_it_is_disguised(tree):
    source = tree / "in/a.flac"
    (tree / "soft").symlink_to(tree / "in")
    (tree / "hard").mkdir()
    os.link(source, tree / "hard/a.flac")
    (tree / "link").mkdir()
    (tree / "link/a.flac").symlink_to(source)
    for output in (tree / "in", tree / "soft", tree / "hard", tree / "link", source):
        with pytest.raises(UsageError, match="would be the input"):
            plan_jobs([source], output)


def test_two_inputs_with_one_output_are_refused(tree):
    with pytest.raises(UsageError, match=r"both .*in/a\.flac and .*other/a\.flac"):
        plan_jobs([tree / "in", tree / "other"], tree / "out")


def test_an_output_folder_that_is_a_file_is_refused(tree):
    with pytest.raises(UsageError, match="this is a file"):
        plan_jobs([tree / "in"], tree / "other/a.flac")


@pytest.fixture
def closed(tree, monkeypatch):
    """A folder in `in` that this process may not read, everything by relative paths."""
    (tree / "in/deep").chmod(0)
    tree.chmod(0o755)
    monkeypatch.chdir(tree)
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65_534)
    yield Path("in/deep")
    os.seteuid(user)
    (tree / "in/deep").chmod(0o755)


def test_a_folder_that_cannot_be_read_is_named_and_fails_alone(closed):
    for paths in ([Path("in")], [closed, Path("in/a.flac")]):
        plan = plan_jobs(paths, Path("out"))
        assert [job.source for job in plan.jobs] == [Path("in/a.flac")]
        ((path, error),) = plan.unusable
        assert path == closed
        assert "in/deep: this folder cannot be read (Permission denied)" in str(error)
    with pytest.raises(AudioError, match="in/deep: this folder cannot be read"):
        list(audio_files(Path("in")))


def test_a_path_that_the_system_refuses_fails_alone(closed):
    paths = [closed / "er/b.FLAC", Path("x" * 300 + ".wav"), Path("in/a.flac")]
    plan = plan_jobs(paths, Path("out"))
    assert [job.source for job in plan.jobs] == [Path("in/a.flac")]
    assert [path for path, _ in plan.unusable] == paths[:2]
    first, second = (str(error) for _, error in plan.unusable)
    assert "Permission denied" in first
    assert "name too long" in second
    with pytest.raises(UsageError, match="name too long"):
        plan_jobs(paths, paths[1])


def test_links_to_folders_are_followed_and_loops_end(tree):
    (tree / "in/spk").symlink_to(tree / "other")
    (tree / "in/deep/up").symlink_to(tree / "in")
    (tree / "in/twin").symlink_to("deep")
    (tree / "other/back").symlink_to(tree / "in")
    out = tree / "out"
    assert targets([tree / "in"], out) == [
        *(out / "a.flac", out / "deep/er/b.FLAC", out / "spk/a.flac", out / "twin/er/b.FLAC")
    ]


@pytest.mark.parametrize("goal", ["out", "out/deep", "."])
def test_a_link_to_the_output_is_refused(goal, tree):
    (tree / "out/deep").mkdir(parents=True)
    shutil.copy(tree / "in/a.flac", tree / "out/deep")
    (tree / "in/link").symlink_to(tree / goal)
    with pytest.raises(UsageError, match="a link leads from the input folder"):
        plan_jobs([tree / "in"], tree / "out")
