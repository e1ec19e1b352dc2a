"""The packages behind ONNX files, which are an extra of this one. Imports nothing heavy."""

from __future__ import annotations

import os
from importlib.util import find_spec

from mbs_cli.errors import UsageError


def require_onnx() -> None:
    """Raise UsageError, with the command that installs it, for a package that is missing."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX files need {' and '.join(missing)}, not installed here",
            f"pip install {' '.join(missing)}",
        )


def keep_onnxruntime_quiet() -> None:
    """Have onnxruntime tell nobody of its use. To be called before it is loaded.

    Its official builds, on Linux from 1.29 on, report sessions and the hardware to Microsoft unless
    this is set (its docs/Privacy.md); `mbs` promises to work offline.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
