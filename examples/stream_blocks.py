"""Enhance a stream as it comes in: python examples/stream_blocks.py NOISY OUT [MODEL].

Here the stream is a file read in blocks of 20 ms; from a microphone it works the same way. What
comes back is a little behind, at 16 kHz 24 ms, and all of it together is what the whole file gives
in one piece.
"""

import sys
import time

import soundfile

from mbs_cli import StreamEnhancer, load_model

BLOCK_SECONDS = 0.02

noisy_path, out_path = sys.argv[1:3]
model = load_model(sys.argv[3] if len(sys.argv) > 3 else "mbs-net", "cpu")

with soundfile.SoundFile(noisy_path) as noisy:
    stream = StreamEnhancer(model, noisy.samplerate, noisy.channels)
    block_samples = round(BLOCK_SECONDS * noisy.samplerate)
    with soundfile.SoundFile(out_path, "w", noisy.samplerate, noisy.channels) as out:
        started = time.perf_counter()
        for block in noisy.blocks(block_samples, dtype="float32", always_2d=True):
            out.write(stream.feed(block.T).T)  # channels first, as many samples as are final
        out.write(stream.flush().T)
        seconds = time.perf_counter() - started
    print(f"{out_path}: real-time factor {seconds * noisy.samplerate / noisy.frames:.3f}")
