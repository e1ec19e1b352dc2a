"""Speech enhancement: the library behind the command `mbs`.

Importing it costs nothing; what is used is loaded at its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbs_cli.audio.output_format import OutputFormat
    from mbs_cli.enhancement.array import enhance_array
    from mbs_cli.enhancement.files import enhance_file, enhance_paths
    from mbs_cli.enhancement.loading import load_model
    from mbs_cli.enhancement.streaming import StreamEnhancer
    from mbs_cli.enhancement.treatment import Treatment

__version__ = "0.1.0"

__all__ = [
    "OutputFormat",
    "StreamEnhancer",
    "Treatment",
    "__version__",
    "enhance_array",
    "enhance_file",
    "enhance_paths",
    "load_model",
]

_HOMES = {
    "OutputFormat": "mbs_cli.audio.output_format",
    "StreamEnhancer": "mbs_cli.enhancement.streaming",
    "Treatment": "mbs_cli.enhancement.treatment",
    "enhance_array": "mbs_cli.enhancement.array",
    "enhance_file": "mbs_cli.enhancement.files",
    "enhance_paths": "mbs_cli.enhancement.files",
    "load_model": "mbs_cli.enhancement.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
