"""`mbs live` as a real process: with files, with sound cards or without."""

from __future__ import annotations

import soundfile

WITHOUT_SOUNDDEVICE = """
import sys
sys.modules["sounddevice"] = None
from mbs_cli.app import main
main()
"""


def test_files_in_place_of_a_sound_card(run_mbs, small_checkpoint, noisy_file, tmp_path):
    files = ("--input", noisy_file, "--output", "out.wav")
    result = run_mbs("live", *files, "--model", small_checkpoint, "--seconds", 0.4)
    assert result.returncode == 0, result.stderr
    assert "model and resampling 16" in result.stdout
    assert "real-time factor" in result.stdout
    assert "underruns" in result.stderr
    assert 0.3 < soundfile.info(tmp_path / "out.wav").duration < 5


def test_devices_are_listed_or_it_is_told_what_is_missing(run_mbs):
    result = run_mbs("live", "--list-devices")
    if result.returncode == 0:
        assert "outputs" in result.stdout or "no sound device" in result.stderr
    else:
        assert result.returncode == 2
        assert "PortAudio" in result.stderr
        assert "hint: install it" in result.stderr


def test_without_the_package_the_next_step_is_told(run_mbs):
    result = run_mbs("live", script=WITHOUT_SOUNDDEVICE)
    assert result.returncode == 2
    assert "mbs-cli[live]" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_needs_a_file_to_be_written_to(run_mbs, noisy_file):
    result = run_mbs("live", "--input", noisy_file)
    assert result.returncode == 2
    assert "--output" in result.stderr
