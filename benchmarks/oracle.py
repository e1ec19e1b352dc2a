"""What is lost where: scores of a model's output with one part of it taken from the reference.

    python benchmarks/oracle.py --clean DIR --noisy DIR --out DIR [--model NAME_OR_PATH]

Enhances the noisy files, replaces one part after the other by that of the clean files, and scores
all of it at once. The part that raises a metric most is where that metric has most to win. The
inputs are mono at 16 kHz.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch
from results import print_table
from shipped import mbs
from torch import Tensor

from mbs_cli.audio.parameters import BINS, FRAMES_8_MS, SAMPLE_RATE_HZ
from mbs_cli.audio.stft import istft, stft
from mbs_cli.scoring.metrics import METRICS

SHOWN = ("pesq_wb", "stoi", "si_sdr", "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")
PAUSE_DB = 35.0  # frames softer than the loudest one by more
_FLOOR = 1e-9

Spectrum = Tensor  # complex (F, T)
Part = Callable[[Spectrum, Spectrum], Spectrum]  # of the estimate and of the reference


def hertz() -> Tensor:
    return torch.linspace(0, SAMPLE_RATE_HZ / 2, BINS)[:, None]


def in_pauses(reference: Spectrum) -> Tensor:
    """Which frames (T,) are pauses."""
    energy_db = 10 * torch.log10(reference.abs().square().sum(0) + _FLOOR)
    return energy_db < energy_db.max() - PAUSE_DB


def with_phase(estimate: Spectrum, reference: Spectrum) -> Spectrum:
    return torch.polar(estimate.abs(), reference.angle())


def with_magnitude(estimate: Spectrum, reference: Spectrum) -> Spectrum:
    return torch.polar(reference.abs(), estimate.angle())


def without_what_is_too_much(estimate: Spectrum, reference: Spectrum) -> Spectrum:
    return estimate * (reference.abs() / (estimate.abs() + _FLOOR)).clamp_max(1)


def with_what_is_missing(estimate: Spectrum, reference: Spectrum) -> Spectrum:
    return estimate * (reference.abs() / (estimate.abs() + _FLOOR)).clamp_min(1)


def between(low_hz: float, high_hz: float, part: Part = lambda _, reference: reference) -> Part:
    """A part in these bins alone."""
    inside = (hertz() >= low_hz) & (hertz() < high_hz)
    return lambda estimate, reference: torch.where(inside, part(estimate, reference), estimate)


PARTS: dict[str, Part] = {
    "nothing": lambda estimate, _: estimate,
    "phase": with_phase,
    "magnitude": with_magnitude,
    "what is too much": without_what_is_too_much,
    "what is missing": with_what_is_missing,
    "pauses": lambda estimate, reference: torch.where(in_pauses(reference), reference, estimate),
    "pauses 40 dB softer": lambda estimate, reference: torch.where(
        in_pauses(reference), 0.01 * estimate, estimate
    ),
    "below 250 Hz": between(0, 250),
    "phase below 250 Hz": between(0, 250, with_phase),
    "magnitude below 250 Hz": between(0, 250, with_magnitude),
    "250 to 500 Hz": between(250, 500),
    "500 to 1000 Hz": between(500, 1000),
    "1 to 4 kHz": between(1000, 4000),
    "above 4 kHz": between(4000, SAMPLE_RATE_HZ),
}


def read(path: Path) -> Tensor:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ, f"{path}: {rate_hz} Hz"
    assert samples.ndim == 1, f"{path}: not mono"
    return torch.from_numpy(samples)


def replace_parts(enhanced: Path, clean: Path, out: Path) -> list[Path]:
    """One folder for each of PARTS, of all files of `enhanced`."""
    folders = [out / name.replace(" ", "-") for name in PARTS]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(enhanced.iterdir()):
        pair = torch.stack([read(path), read(clean / path.name)])
        spectra = torch.view_as_complex(stft(pair, FRAMES_8_MS).contiguous())
        for part, folder in zip(PARTS.values(), folders, strict=True):
            changed = torch.view_as_real(part(spectra[0], spectra[1]).resolve_conj())
            samples = istft(changed[None], pair.shape[1], FRAMES_8_MS)[0].numpy()
            name = f"{path.stem}.wav"
            soundfile.write(folder / name, samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    return folders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clean", type=Path, required=True, help="references, one folder")
    parser.add_argument("--noisy", type=Path, required=True, help="their noisy versions")
    parser.add_argument("--out", type=Path, required=True, help="for what is made and scored")
    parser.add_argument("--model", default="best", help="a shipped model or a checkpoint")
    options = parser.parse_args()
    enhanced = options.out / "enhanced"
    mbs("enhance", options.noisy, "-o", enhanced, "--model", options.model, "--overwrite")
    folders = replace_parts(enhanced, options.clean, options.out)
    result = options.out / "scores.json"
    mbs("score", options.clean, *folders, "--metrics", ",".join(SHOWN), "--json", result)
    means = [system["mean"] for system in json.loads(result.read_text())["systems"]]
    print_table(
        ["taken from the reference", *(METRICS[metric].title for metric in SHOWN)],
        (
            [name, *(METRICS[metric].show(mean[metric]) for metric in SHOWN)]
            for name, mean in zip(PARTS, means, strict=True)
        ),
    )


if __name__ == "__main__":
    main()
