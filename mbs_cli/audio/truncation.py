"""Files that were cut short: a broken download, a full disk, a recorder that lost power.

libsndfile reads what is there and stays silent, so half a file would be taken for a whole one. The
same goes for a header that tells of less sound than there is.
"""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

from mbs_cli.audio.flac import surplus_samples
from mbs_cli.audio.joined import chunks, is_name
from mbs_cli.audio.pcm import SAMPLE_BYTES

# libsndfile's log of a header: "data : 163200 (should be 97902)".
_SIZE_MISMATCH = re.compile(r"^\s*(\w[\w ]*?)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)

# Promised by programs that pipe a file out and cannot go back to fill in its size.
_UNKNOWN_SIZES = (0x7FFFF000, 0x80000000, 0xFFFFF000)  # sox, arecord, ffmpeg
_UNKNOWN_SIZE_SPREAD = 0x1000

# Its word for something that is no chunk: sound beyond what the header tells of, or junk.
_NO_CHUNK = "Exiting parser"
_TOLERATED_BYTES = 4096  # headers, and what some programs append, such as an ID3 tag

# Formats whose sound libsndfile takes to be all there is: where the header, or else its log of one,
# has the true number of samples. MAT5 has that of bytes, the last of several sizes.
_NIST_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)
_NIST_HEADER_BYTES = 1024
_LOGGED_COUNTS = {
    "AVR": re.compile(r"Frames\s*: (\d+)"),
    "MPC2K": re.compile(r"Frames\s*: (\d+)"),
    "MAT5": re.compile(r"Size : (\d+)"),
    "WVE": re.compile(r"Data length (\d+) should be"),
}
_LOGGED_TRUNCATION = re.compile(r"seems to be (a )?truncated", re.IGNORECASE)
_LOGGING_TRUNCATION = ("MAT4", "PAF", "VOC")  # and WAV, of a byte that makes a chunk even

_CAF = b"caff"

_OGG_CAPTURE = b"OggS"
_OGG_HEADER_BYTES = 27
_OGG_LARGEST_PAGE_BYTES = 65_307
_OGG_END_OF_STREAM = 0x04


def find_truncation(path: Path, sound: soundfile.SoundFile) -> str:
    """Say what is wrong with a file that libsndfile opened, or "" if nothing is."""
    return (
        _find_short_chunk(sound)
        or _find_missing_samples(path, sound)
        or _find_wrong_end(path, sound)
        or _find_surplus_bytes(path, sound)
    )


def _find_short_chunk(sound: soundfile.SoundFile) -> str:
    for name, promised, found in _SIZE_MISMATCH.findall(sound.extra_info):
        if int(found) < int(promised) and not means_unknown_size(int(promised)):
            return (
                f"the file is cut short (its header promises {promised} bytes of "
                f"{name.strip()!r}, {found} are there)"
            )
    return ""


def _find_missing_samples(path: Path, sound: soundfile.SoundFile) -> str:
    promised = _promised_frames(path, sound)
    if promised > sound.frames:
        return (
            f"the file is cut short (its header promises {promised} samples, {sound.frames} are "
            "there)"
        )
    if sound.format in _LOGGING_TRUNCATION and _LOGGED_TRUNCATION.search(sound.extra_info):
        return f"the file is cut short (its header promises more than its {sound.frames} samples)"
    return ""


def _find_wrong_end(path: Path, sound: soundfile.SoundFile) -> str:
    if sound.format == "OGG" and not _ends_with_last_ogg_page(path):
        return "the file is cut short (its last Ogg page is missing)"
    if sound.format == "FLAC" and (more := surplus_samples(path, sound.frames)):
        return f"its header is wrong (it tells of {sound.frames} samples, {more} more are there)"
    return find_caf_fault(path) if sound.format == "CAF" else ""


def _find_surplus_bytes(path: Path, sound: soundfile.SoundFile) -> str:
    more_bytes = _unexplained_bytes(path, sound)
    if more_bytes > _TOLERATED_BYTES:
        return f"its header is wrong (about {more_bytes} bytes follow the sound that it tells of)"
    return ""


def _unexplained_bytes(path: Path, sound: soundfile.SoundFile) -> int:
    """How much the file holds beside its sound, if libsndfile cannot tell what it is."""
    if sound.subtype not in SAMPLE_BYTES:
        return 0
    sample_bytes: int = sound.channels * SAMPLE_BYTES[sound.subtype]
    if sound.format == "NIST":
        more_frames: int = sound.frames - _promised_frames(path, sound)
        return more_frames * sample_bytes
    if _NO_CHUNK not in sound.extra_info and sound.format != "AU":
        return 0
    sound_bytes: int = sound.frames * sample_bytes
    return path.stat().st_size - sound_bytes


def find_caf_fault(path: Path) -> str:
    """Say what is wrong with the lengths of a CAF's chunks, "" if nothing is or it is no CAF."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != _CAF:
            return ""
        for place, kind, content, length in chunks(stream):
            if not is_name(kind) and size - place > _TOLERATED_BYTES:
                return f"its header is wrong ({size - place} bytes follow the last of its chunks)"
            if is_name(kind) and content + length > size:
                return (
                    f"the file is cut short (its header promises {length} bytes of "
                    f"{kind.decode()!r}, {size - content} are there)"
                )
    return ""


def _promised_frames(path: Path, sound: soundfile.SoundFile) -> int:
    """What the header tells, for formats of which libsndfile does not heed it."""
    frames: int = sound.frames
    if sound.format == "NIST":
        with path.open("rb") as stream:
            counts = _NIST_COUNT.findall(stream.read(_NIST_HEADER_BYTES))
        # Some programs count the samples of all channels.
        is_of_all = bool(counts) and int(counts[0]) == frames * sound.channels
        return frames if is_of_all or not counts else int(counts[0])
    logged = _LOGGED_COUNTS.get(sound.format)
    counts = logged.findall(sound.extra_info) if logged else []
    if not counts or (sound.format == "MAT5" and sound.subtype not in SAMPLE_BYTES):
        return frames
    unit = sound.channels * SAMPLE_BYTES[sound.subtype] if sound.format == "MAT5" else 1
    return int(counts[-1]) // unit


def means_unknown_size(size: int) -> bool:
    """Whether a program that pipes a WAV out promises so many bytes for want of a true number."""
    return any(start <= size < start + _UNKNOWN_SIZE_SPREAD for start in _UNKNOWN_SIZES)


def _ends_with_last_ogg_page(path: Path) -> bool:
    """Whether the last page carries the end-of-stream flag and is whole (RFC 3533, section 6)."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _OGG_LARGEST_PAGE_BYTES))
        end = stream.read()
    page = end[max(0, end.rfind(_OGG_CAPTURE)) :]
    if len(page) < _OGG_HEADER_BYTES:
        return False
    flags, segments = page[5], page[26]
    sizes = page[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + segments]
    is_whole = len(page) >= _OGG_HEADER_BYTES + segments + sum(sizes)
    return is_whole and bool(flags & _OGG_END_OF_STREAM)
