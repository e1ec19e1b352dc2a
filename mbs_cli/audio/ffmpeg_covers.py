"""Pictures of an audio file into Matroska, which holds them as attached files, not as streams."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mbs_cli.audio.ffmpeg import file_address, input_options, start
from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.errors import AudioError

# By ffmpeg's name of what a picture is coded in: its file's suffix, its MIME type.
_KINDS = {
    "mjpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "gif": ("gif", "image/gif"),
    "bmp": ("bmp", "image/bmp"),
    "tiff": ("tiff", "image/tiff"),
    "webp": ("webp", "image/webp"),
}


@contextmanager
def attached_covers(info: AudioFileInfo, first_stream: int) -> Iterator[list[str]]:
    """The arguments that attach the pictures of `info.path`, their streams from `first_stream` on.

    What they name is there as long as the context lasts. Raises AudioError for one that cannot be
    read, and OSError if there is no room for it in the temporary folder.
    """
    options: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, cover in enumerate(info.media.covers if info.media else ()):
            suffix, mime_type = _KINDS.get(cover.codec, (cover.codec, f"image/{cover.codec}"))
            copy = Path(folder, str(number))
            copy.write_bytes(_picture(info.path, cover.stream))
            place = f"-metadata:s:{first_stream + number}"
            options += ["-attach", file_address(copy), place, f"mimetype={mime_type}"]
            options += [place, f"filename={cover.name or f'cover.{suffix}'}"]
        yield options


def _picture(path: Path, stream: int) -> bytes:
    """The bytes of a picture as they are in the file."""
    arguments = ["-nostdin", "-v", "error", *input_options(path), "-map", f"0:{stream}"]
    arguments += ["-c", "copy", "-frames:v", "1", "-f", "image2pipe", "pipe:1"]
    with start("ffmpeg", arguments, path) as process:
        content = process.stdout.read()
        if not process.succeeds() or not content:
            raise AudioError(
                f"{path}: its cover cannot be read ({process.reason()})",
                "take it out, or choose another --format, such as wav",
            )
    return content
