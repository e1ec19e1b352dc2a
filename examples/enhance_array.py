"""Enhance speech that is in memory: python examples/enhance_array.py NOISY OUT [MODEL]."""

import sys

import soundfile

from mbs_cli import enhance_array

noisy_path, out_path = sys.argv[1:3]
model = sys.argv[3] if len(sys.argv) > 3 else "mbs-net"  # a preset's name or a checkpoint's path

noisy, sample_rate_hz = soundfile.read(noisy_path, dtype="float32")
enhanced = enhance_array(noisy, sample_rate_hz, model=model)

soundfile.write(out_path, enhanced, sample_rate_hz)
print(f"{out_path}: {len(enhanced) / sample_rate_hz:.2f} s at {sample_rate_hz} Hz")
