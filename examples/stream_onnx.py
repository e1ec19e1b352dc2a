"""Run an exported model without mbs and torch: python examples/stream_onnx.py MODEL.onnx NOISY OUT.

MODEL.onnx is the stream form that `mbs export` writes, NOISY is mono at 16 kHz. One frame of 8 ms
goes through the model at a time, as a live program would do it; docs/onnx.md explains each step.
"""

import os
import sys

import numpy as np
import soundfile

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it reports its use to Microsoft
import onnxruntime

N_FFT, HOP = 512, 128
WINDOW = np.hanning(N_FFT + 1)[:-1]  # periodic Hann

model_path, noisy_path, out_path = sys.argv[1:4]
model = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])
noisy, rate = soundfile.read(noisy_path)
if rate != 16000 or noisy.ndim != 1:
    sys.exit(f"{noisy_path}: expected mono at 16000 Hz")

# Everything but the spectrum is state: silence at first, then what the call before returned.
_, *states = model.get_inputs()
state = {
    entry.name: np.zeros([1 if isinstance(n, str) else n for n in entry.shape], np.float32)
    for entry in states
}
edge = np.zeros(N_FFT // 2)
samples = np.concatenate([edge, noisy, edge])
total, weights = np.zeros(len(samples)), np.full(len(samples), 1e-11)
for start in range(0, len(samples) - N_FFT + 1, HOP):
    here = slice(start, start + N_FFT)
    frame = np.fft.rfft(samples[here] * WINDOW)  # 257 bins
    spectrum = np.stack([frame.real, frame.imag], axis=-1).astype(np.float32)
    estimate, *after = model.run(None, {"spectrum": spectrum[None, None], **state})
    state = dict(zip(state, after, strict=True))
    real, imaginary = np.moveaxis(estimate[0, 0], -1, 0)
    total[here] += np.fft.irfft(real + 1j * imaginary) * WINDOW
    weights[here] += WINDOW**2
clean = (total / weights)[N_FFT // 2 :][: len(noisy)]
soundfile.write(out_path, clean, rate)
