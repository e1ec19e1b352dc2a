"""The programs ffmpeg and ffprobe as child processes, if they are installed.

Files are untrusted: no shell, no network, no playlists that lead to other files, and a name is
never taken for an option or an address.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mbs_cli.errors import AudioError

# Containers of sound and video. What refers to other files or addresses (HLS, DASH, concat, ...)
# is not among them, nor are pictures and subtitles.
_DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dsf"),
    *("dts", "dtshd", "eac3", "flac", "flv", "gsm", "iff", "loas", "matroska", "mlp", "mov"),
    *("mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf", "nut", "ogg", "rm", "sox", "tak", "truehd"),
    *("tta", "voc", "w64", "wav", "webm", "wv", "xwma"),
)
_LOG_END_BYTES = 4096


def is_installed() -> bool:
    """Whether ffmpeg and ffprobe are on the PATH."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def input_options(path: Path) -> list[str]:
    """The arguments that open a file, whatever its name and content."""
    return [
        *("-protocol_whitelist", "file,pipe"),
        *("-format_whitelist", ",".join(_DEMUXERS)),
        *("-i", file_address(path)),
    ]


def file_address(path: Path) -> str:
    """A name as ffmpeg takes it for a file, also with a leading hyphen or a colon."""
    return f"file:{path}"


def convert_hint(path: Path) -> str:
    """What to do with a file that cannot be read or written: the command to convert it."""
    target = path.with_suffix(".wav")
    if target == path:
        target = path.with_name(f"{path.stem}-converted.wav")
    return f"convert it first: ffmpeg -i {_quoted(path)} {_quoted(target)}"


def _quoted(path: Path) -> str:
    is_plain = not str(path).startswith("-") and ":" not in str(path)
    return shlex.quote(str(path) if is_plain else file_address(path))


class FfmpegProcess:
    """ffmpeg or ffprobe at work; made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log

    @property
    def stdin(self) -> IO[bytes]:
        """What it reads."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""
        assert self._process.stdout is not None
        return self._process.stdout

    def succeeds(self) -> bool:
        """Wait for its end; whether it did what it was told."""
        return self._process.wait() == 0

    def log(self) -> str:
        """The end of what it said on standard error."""
        length = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, length - _LOG_END_BYTES))
        return self._log.read().decode(errors="replace")

    def reason(self) -> str:
        """In one line why it failed."""
        code = self._process.wait()
        if code < 0:
            return f"ffmpeg was stopped by signal {-code}, {signal.strsignal(-code)}"
        lines = [line for line in self.log().splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"ffmpeg ended with code {code}"

    def stop(self) -> None:
        """End it if it still runs, and release what it holds."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                _close_quietly(stream)
        self._log.close()


def _close_quietly(stream: IO[bytes]) -> None:
    with suppress(BrokenPipeError):  # what was still to be written has no reader any more
        stream.close()


@contextmanager
def start(
    program: str, arguments: Sequence[str], path: Path, *, is_fed: bool = False
) -> Iterator[FfmpegProcess]:
    """Run ffmpeg or ffprobe, its output and, if `is_fed`, its input being pipes to here.

    It ends with the context. Raises AudioError naming `path` if it is not installed or does not
    start.
    """
    executable = shutil.which(program)
    if executable is None:
        raise AudioError(
            f"{path}: {program} is needed for this format and is not installed",
            f"install ffmpeg, or where it is installed {convert_hint(path)}",
        )
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - a list of arguments, never a shell
                [executable, *arguments],
                stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,  # Ctrl-C reaches this program, which then stops ffmpeg
            )
        except OSError as error:
            raise AudioError(f"{path}: {program} cannot be started ({error.strerror})") from error
        child = FfmpegProcess(process, log)
        try:
            yield child
        finally:
            child.stop()
