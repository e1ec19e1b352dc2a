"""Whether an encoder takes a bit rate: silence and very short sounds have some that none takes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mbs_cli.audio.ffmpeg import start
from mbs_cli.audio.ffmpeg_muxers import encoder_options
from mbs_cli.audio.file_info import AudioFileInfo

# These fail outside a range that hangs on sample rate, channels and version; others take what is
# nearest.
_PICKY = frozenset({"vorbis", "opus", "eac3", "mp2"})
_TRIAL_FRAMES = 64
_SAMPLE_BYTES = 4


def usable_bit_rate(info: AudioFileInfo, input_format: list[str], target: Path) -> int:
    """That of `info`, or 0, which leaves it to the encoder, if a trial with silence fails.

    `input_format` are the arguments that describe samples to ffmpeg. Raises AudioError, which
    names `target`, if ffmpeg cannot be started.
    """
    if not info.bit_rate or info.subtype not in _PICKY:
        return info.bit_rate
    options = encoder_options(info.subtype, info.channels, info.bits, info.bit_rate, stream=0)
    arguments = ["-nostdin", "-v", "error", *input_format, "-i", "pipe:0", *options]
    silence = bytes(_SAMPLE_BYTES * info.channels * _TRIAL_FRAMES)
    with start("ffmpeg", [*arguments, "-f", "null", "-"], target, is_fed=True) as process:
        with suppress(BrokenPipeError):  # it has failed already
            process.stdin.write(silence)
            process.stdin.close()
        return info.bit_rate if process.succeeds() else 0
