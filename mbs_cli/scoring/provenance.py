"""What has to be known to get the same scores again. Imports none of the packages it names."""

from __future__ import annotations

import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from mbs_cli import __version__
from mbs_cli.scoring.comparison import Provenance
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ
from mbs_cli.scoring.source import RESAMPLER_QUALITY

_PACKAGES = (
    *("numpy", "scipy", "soundfile", "soxr", "pesq", "pystoi"),
    *("speechmos", "onnxruntime", "librosa"),
)


def provenance(command: str, *, trim: bool, align: bool) -> Provenance:
    """The machine and the moment this is called on, and how the files are read."""
    versions = {"mbs": __version__, "python": platform.python_version()}
    versions |= {name: found for name in _PACKAGES if (found := _version(name))}
    return Provenance(
        command=command,
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        versions=versions,
        platform=platform.platform(),
        sample_rate_hz=SAMPLE_RATE_HZ,
        resampler=f"soxr {versions.get('soxr', '')} {RESAMPLER_QUALITY}".replace("  ", " "),
        options={"trim": trim, "align": align},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
