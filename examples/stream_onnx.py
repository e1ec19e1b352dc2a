"""Run an exported model without mbs and torch: python examples/stream_onnx.py MODEL.onnx NOISY OUT.

MODEL.onnx is the stream form that `mbs export` writes, NOISY is mono at 16 kHz. One frame
goes through the model at a time, as a live program would do it; docs/onnx.md explains each step.
"""

import json
import os
import sys

import numpy as np
import soundfile

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it reports its use to Microsoft
import onnxruntime

model_path, noisy_path, out_path = sys.argv[1:4]
model = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])
about = json.loads(model.get_modelmeta().custom_metadata_map["mbs"])
N_FFT, HOP, kind = (about["model"]["stft"][name] for name in ("n_fft", "hop", "window"))
HANN = np.hanning(N_FFT + 1)[:-1]  # periodic
WINDOW = HANN if kind == "hann" else np.sqrt(HANN)
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
samples = np.concatenate([edge, noisy, np.zeros(-len(noisy) % HOP), edge])
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
