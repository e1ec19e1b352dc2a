"""How striped the noise is that a denoiser leaves in pauses, as a table by system.

    python benchmarks/stripes.py --clean DIR --noisy DIR SYSTEM_DIR ... [--bands overlapping]

In pauses of the clean speech the level of the output over that of the noisy input, in dB per bin,
is a curve from which the colour of the noise drops out. A model that works in bands can leave
stripes: the curve steps from bin to bin, and at the edges of its bands most of all.

attenuation    mean of the curve in dB
roughness      mean absolute second difference of the curve, dB
edge step      mean absolute step at an edge of the band table, less the mean step inside the two
               bands that meet there, dB: 0 means that edges cannot be seen
of mean curve  both of the curve averaged over files: what chance adds to a short pause is less
WSS            weighted spectral slope distance of the whole file

All but those of the mean curve are means over files. Files without enough pauses are left out.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from results import print_table

from mbs_cli.audio.parameters import BINS, FRAMES_8_MS, N_FFT, SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import stft
from mbs_cli.models.bands import BAND_TABLES
from mbs_cli.scoring.wss import wss

PAUSE_DB = 40.0  # frames softer than the loudest one by more
GUARD_SECONDS = 0.05  # between what is no pause and the windows of frames that are looked at
SHORTEST_SECONDS = 0.25  # of pauses in a file
LOWEST_DB = -40.0  # of the curve: noise that is softer by more is not heard any more
LOW_HZ, HIGH_HZ = 100.0, 7500.0
# Power in a bin of the error of rounding to 16 bits, q^2 / 12 a sample: twice that is silence.
SILENCE = 2 * (2.0**-15) ** 2 / 12 * float(np.square(np.hanning(N_FFT + 1)[:-1]).sum())

Curve = NDArray[np.float64]  # dB by bin (F,)


@dataclass(frozen=True)
class Stripes:
    """What was measured of one file."""

    curve: Curve
    wss: float


def read(path: Path) -> Samples:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise SystemExit(f"{path}: expected one channel at {SAMPLE_RATE_HZ} Hz")
    return np.asarray(samples)


def power(samples: Samples) -> Curve:
    """Power of every bin and frame, (F, T)."""
    spectrum = stft(torch.from_numpy(samples)[None], FRAMES_8_MS)[0]
    return np.asarray(spectrum.double().square().sum(-1).numpy())


def in_pauses(clean_power: Curve, pause_db: float) -> NDArray[np.bool_]:
    """Which frames (T,) are pauses and far enough from all that is none."""
    level = clean_power.sum(0)
    is_other = level >= level.max() * 10 ** (-pause_db / 10)
    guard_frames = int(np.ceil((GUARD_SECONDS * SAMPLE_RATE_HZ + N_FFT / 2) / FRAMES_8_MS.hop))
    reach = np.ones(2 * guard_frames + 1)
    return np.convolve(np.pad(is_other, guard_frames), reach, "valid") == 0


def curve_of(noisy_power: Curve, output_power: Curve) -> Curve:
    """Level of the output over that of the input, mean powers of these frames, dB by bin."""
    noisy, output = noisy_power.mean(1), output_power.mean(1)
    gain = np.maximum(output - SILENCE, 0) / np.maximum(noisy, SILENCE)
    return np.asarray(10 * np.log10(np.maximum(gain, 10 ** (LOWEST_DB / 10))))


def bins_measured() -> slice:
    """The bins from LOW_HZ to HIGH_HZ."""
    bins_per_hz = N_FFT / SAMPLE_RATE_HZ
    return slice(int(np.ceil(LOW_HZ * bins_per_hz)), int(HIGH_HZ * bins_per_hz) + 1)


def roughness(curve: Curve) -> float:
    """Mean absolute second difference, dB."""
    return float(np.abs(np.diff(curve[bins_measured()], 2)).mean())


def edge_step(curve: Curve, edges: tuple[int, ...]) -> float:
    """How much larger steps at edges are than inside the bands on both sides, mean in dB."""
    steps = np.abs(np.diff(curve, prepend=curve[0]))  # step i leads to bin i
    bands = [steps[first + 1 : end] for first, end in pairwise([0, *edges, BINS])]
    of_all = np.concatenate(bands).mean()
    inside = [band.mean() if band.size else of_all for band in bands]  # none in a band of one bin
    looked_at = bins_measured()
    more = [
        steps[edge] - (inside[band] + inside[band + 1]) / 2
        for band, edge in enumerate(edges)
        if looked_at.start < edge < looked_at.stop
    ]
    return float(np.mean(more))


def measure(
    clean: Path, noisy: Path, systems: list[Path], pause_db: float
) -> dict[str, list[Stripes]]:
    """Every file that has pauses enough, by system."""
    found: dict[str, list[Stripes]] = {str(system): [] for system in systems}
    for path in sorted(clean.iterdir()):
        reference = read(path)
        pauses = in_pauses(power(reference), pause_db)
        if pauses.sum() * FRAMES_8_MS.hop < SHORTEST_SECONDS * SAMPLE_RATE_HZ:
            continue
        noisy_power = power(read_same(noisy, path.stem, len(reference)))[:, pauses]
        for system in systems:
            output = read_same(system, path.stem, len(reference))
            curve = curve_of(noisy_power, power(output)[:, pauses])
            found[str(system)].append(Stripes(curve, wss(reference, output)))
    return found


def read_same(folder: Path, stem: str, samples: int) -> Samples:
    """The file of that name, whatever its suffix, cut or padded to that many samples."""
    paths = list(folder.glob(f"{stem}.*"))
    if len(paths) != 1:
        raise SystemExit(f"{folder}: expected one file {stem}.*, found {len(paths)}")
    found = read(paths[0])[:samples]
    return np.pad(found, (0, samples - len(found)))


def row(system: str, stripes: list[Stripes], edges: tuple[int, ...]) -> list[str]:
    curves = [one.curve for one in stripes]
    mean_curve = np.mean(curves, axis=0)
    values = (
        np.mean([curve[bins_measured()].mean() for curve in curves]),
        np.mean([roughness(curve) for curve in curves]),
        np.mean([edge_step(curve, edges) for curve in curves]),
        roughness(mean_curve),
        edge_step(mean_curve, edges),
    )
    wss_mean = np.mean([one.wss for one in stripes])
    return [system, str(len(stripes)), *(f"{value:.2f}" for value in values), f"{wss_mean:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("systems", type=Path, nargs="+", metavar="SYSTEM_DIR")
    parser.add_argument("--clean", type=Path, required=True, help="references")
    parser.add_argument("--noisy", type=Path, required=True, help="their noisy versions")
    parser.add_argument("--pause-db", type=float, default=PAUSE_DB, help="below the loudest frame")
    parser.add_argument("--bands", choices=BAND_TABLES, default="split", help="whose edges count")
    options = parser.parse_args()
    found = measure(options.clean, options.noisy, options.systems, options.pause_db)
    if not any(found.values()):
        raise SystemExit("no file has pauses enough: give a smaller --pause-db")
    edges = BAND_TABLES[options.bands].edges[1:-1]
    head = ["system", "files", "attenuation dB", "roughness dB", "edge step dB"]
    print_table(
        [*head, "roughness of mean curve", "edge step of mean curve", "WSS"],
        (row(name, stripes, edges) for name, stripes in found.items()),
    )


if __name__ == "__main__":
    main()
