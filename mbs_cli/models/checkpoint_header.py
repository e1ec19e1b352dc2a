"""The head of a `.safetensors` file, read with suspicion and without torch.

Layout: 8 bytes little-endian header length, the header as JSON, the bytes of the tensors. Every
claim of the header is compared with the file's true size before anything believes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mbs_cli.errors import CheckpointError

METADATA_KEY = "mbs"
MAX_HEADER_BYTES = 1 << 23  # ours have about 10 kB; a list of all sources may be long
_LENGTH_BYTES = 8
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in (2, 3, 4, 5))
_PICKLE_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar")


@dataclass(frozen=True)
class TensorEntry:
    """What the header says of one tensor; `dtype` as safetensors spells it, `F32`."""

    dtype: str
    shape: tuple[int, ...]
    end: int


@dataclass(frozen=True)
class CheckpointHeader:
    """The tensors by name, and our description as it stands in the file."""

    tensors: dict[str, TensorEntry]
    description: dict[str, Any]


def read_header(path: Path) -> CheckpointHeader:
    """The header of a checkpoint, whose tensors are then known to lie wholly in the file.

    Raises:
        CheckpointError: missing, unreadable, a pickle, truncated, or not a checkpoint of ours.
    """
    try:
        if not path.is_file():
            raise CheckpointError(f"{path}: there is no such checkpoint file", "check --model")
        size = path.stat().st_size
        with path.open("rb") as file:
            text = _header_text(file, size, path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    header = _parse_json(text, path, "its header")
    metadata = header.pop("__metadata__", {})
    tensors = {name: _entry(name, value, path) for name, value in header.items()}
    _check_size(tensors, size - _LENGTH_BYTES - len(text), path)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_KEY), str):
        raise CheckpointError(
            f"{path} is a safetensors file, but not a checkpoint of mbs: "
            f"its metadata has no entry {METADATA_KEY!r}",
            "only files that mbs train wrote can be loaded",
        )
    return CheckpointHeader(tensors, _parse_json(metadata[METADATA_KEY], path, "its description"))


def _header_text(file: BinaryIO, size: int, path: Path) -> bytes:
    start = file.read(_LENGTH_BYTES + 1)
    _refuse_pickle(start, path)
    if len(start) <= _LENGTH_BYTES:
        raise CheckpointError(f"{path} is truncated: it has only {size} bytes", "get it again")
    if start[_LENGTH_BYTES:] != b"{":
        raise CheckpointError(f"{path} is not a safetensors file", "expected a file by mbs train")
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is not a checkpoint of mbs: its header claims {length} bytes, "
            f"expected at most {MAX_HEADER_BYTES}"
        )
    if length > size - _LENGTH_BYTES:
        raise CheckpointError(
            f"{path} is truncated: its header claims {length} bytes, "
            f"{size - _LENGTH_BYTES} are there",
            "get it again",
        )
    return start[_LENGTH_BYTES:] + file.read(length - 1)


def _refuse_pickle(start: bytes, path: Path) -> None:
    is_safetensors = start[_LENGTH_BYTES:] == b"{"
    is_pickle = start.startswith((_ZIP_MAGIC, *_PICKLE_PROTOCOLS)) and not is_safetensors
    if is_pickle or (path.suffix.lower() in _PICKLE_SUFFIXES and not is_safetensors):
        raise CheckpointError(
            f"{path} is a pickle or a torch.save archive, which can run code when opened; "
            "mbs never unpickles anything",
            "use a .safetensors file written by mbs train",
        )


def _parse_json(text: bytes | str, path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {what} is not valid JSON") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is damaged: {what} is not a JSON object")
    return value


def _entry(name: str, value: Any, path: Path) -> TensorEntry:
    try:
        shape = tuple(int(length) for length in value["shape"])
        return TensorEntry(str(value["dtype"]), shape, int(value["data_offsets"][1]))
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: its entry for {name!r} is not valid") from error


def _check_size(tensors: dict[str, TensorEntry], data_bytes: int, path: Path) -> None:
    expected = max((entry.end for entry in tensors.values()), default=0)
    if expected > data_bytes:
        raise CheckpointError(
            f"{path} is truncated: its tensors need {expected} bytes, {data_bytes} are there",
            "get it again",
        )
