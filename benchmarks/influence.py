"""How far a model hears: what the sound beyond a border changes, by the distance from it.

    python benchmarks/influence.py [--model NAME_OR_PATH] [--untrained PRESET] [--seconds 24]

Real speech from examples/noisy is enhanced whole, and again with all before, or all after, its
middle missing; the difference is compared with the whole result. A model that looks both ways is
then run as for long files, on windows that carry the past exactly and look ahead for some seconds.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import torch
from noisy_speech import noisy_speech
from numpy.typing import NDArray
from torch import nn

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.loading import load_model
from mbs_cli.enhancement.windowed import WindowedEnhancer
from mbs_cli.models.config import PRESETS
from mbs_cli.models.registry import build_model

DISTANCES_SECONDS = (0.032, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)

LOOK_AHEAD_SECONDS = (2.0, 4.0, 6.0, 10.0, 14.0)
KEPT_SECONDS = 4.0
STRETCH_SECONDS = 0.1  # of the worst difference

Signal = NDArray[np.float32]


@torch.inference_mode()
def enhance_whole(model: nn.Module, signal: Signal) -> Signal:
    spectrum = model(stft(torch.from_numpy(signal[None]), model.framing))
    enhanced: Signal = istft(spectrum, len(signal), model.framing)[0].numpy()
    return enhanced


def decay_db(difference: Signal, whole: Signal) -> list[float]:
    """Of a difference that starts at the border: its level from each distance on."""
    first = [round(seconds * SAMPLE_RATE_HZ) for seconds in DISTANCES_SECONDS]
    edges = [*(place for place in first if place < len(difference)), len(difference)]
    level = np.std(whole)
    return [
        20 * np.log10(np.std(difference[start:end]) / level + 1e-12)
        for start, end in pairwise(edges)
    ]


def windows_db(model: nn.Module, signal: Signal, whole: Signal, ahead: float) -> tuple[float, ...]:
    """What windows make different: on the whole, and in the worst stretch."""
    enhancer = WindowedEnhancer(model, 1, KEPT_SECONDS, ahead)
    enhanced = np.concatenate([enhancer.feed(signal[None]), enhancer.flush()], axis=1)[0]
    difference = enhanced - whole
    size = round(STRETCH_SECONDS * SAMPLE_RATE_HZ)
    stretches = difference[: len(difference) // size * size].reshape(-1, size)
    levels = np.array([np.std(difference), np.std(stretches, axis=1).max()]) / np.std(whole)
    return tuple(20 * np.log10(levels + 1e-12))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mbs-net", help="a shipped model or a checkpoint")
    parser.add_argument("--untrained", help="take a preset with random weights instead")
    parser.add_argument("--seconds", type=float, default=24.0)
    options = parser.parse_args()
    if options.untrained:
        torch.manual_seed(0)
        model: nn.Module = build_model(PRESETS[options.untrained]).eval()
    else:
        model = load_model(options.model, "cpu")
    signal = noisy_speech(options.seconds)
    border = len(signal) // 2
    whole = enhance_whole(model, signal)
    past = decay_db(whole[border:] - enhance_whole(model, signal[border:]), whole)
    ahead = whole[:border] - enhance_whole(model, signal[:border])
    future = decay_db(ahead[::-1], whole)
    print("from s      past dB    future dB")
    for distance, before, after in zip(DISTANCES_SECONDS, past, future, strict=False):
        print(f"{distance:6.3f} {before:11.1f} {after:12.1f}")
    if model.is_causal:
        return
    print("look-ahead s   windows against whole dB   worst 0.1 s dB")
    for seconds in LOOK_AHEAD_SECONDS:
        mean, worst = windows_db(model, signal, whole, seconds)
        print(f"{seconds:12.1f} {mean:26.1f} {worst:16.1f}")


if __name__ == "__main__":
    main()
