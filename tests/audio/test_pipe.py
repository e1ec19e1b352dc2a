"""Sound through pipes: every sample format there and back, headers of all kinds, true and false."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.audio.pcm import PcmFormat, parse_raw
from mbs_cli.audio.pipe_format import format_of_name
from mbs_cli.audio.pipe_reader import PipeReader
from mbs_cli.audio.pipe_writer import PipeWriter
from mbs_cli.audio.wav_stream import WAV_SUBTYPES, make_header, read_header
from mbs_cli.errors import AudioError, UsageError

CODINGS = ["u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be"]
CODINGS += ["f64le", "f64be", "mulaw", "alaw"]
LARGEST_ERROR = {"u8": 2**-6, "s8": 2**-6, "mulaw": 2**-4, "alaw": 2**-4, "s16le": 2**-14}


class Trickle(io.BytesIO):
    """Bytes that arrive a few at a time."""

    def read1(self, size=-1, /):
        return super().read1(min(size, 7))


def wav_bytes(samples, subtype="PCM_16", form="WAV", rate_hz=16_000):
    whole = io.BytesIO()
    soundfile.write(whole, samples, rate_hz, format=form, subtype=subtype)
    return whole.getvalue()


def with_sizes(wav, riff_bytes, data_bytes):
    """The same WAV with another size of the whole and of the sound."""
    place = wav.index(b"data")
    sized = wav[:4] + struct.pack("<I", riff_bytes) + wav[8 : place + 4]
    return sized + struct.pack("<I", data_bytes) + wav[place + 8 :]


def read_all(source, layout=None):
    reader = PipeReader(source, layout)
    blocks = list(reader.blocks(1_000))
    joined = np.concatenate([np.zeros((reader.layout.channels, 0), np.float32), *blocks], axis=1)
    return joined, reader.failure


def test_an_rf64_tells_its_size_apart():
    layout = PcmFormat(8_000, 1, "PCM_16")
    sound = layout.encode(np.zeros((1, 50), np.float32))
    header = bytearray(make_header(layout, None))
    header[:4] = b"RF64"
    sizes = b"ds64" + struct.pack("<IQQQI", 28, 0, len(sound), 50, 0)
    stream = io.BytesIO(bytes(header[:12]) + sizes + bytes(header[12:]) + sound + b"LIST....")
    assert read_header(stream, "stdin") == (layout, 100)
    assert stream.read(100) == sound


@pytest.mark.parametrize("coding", CODINGS)
def test_samples_survive_every_coding(coding, noisy_speech):
    layout = parse_raw(f"16000,{coding},2")
    samples = np.stack([noisy_speech[:500], -noisy_speech[500:1_000]])
    sent = layout.encode(samples)
    assert len(sent) == 500 * layout.frame_bytes
    returned, failure = read_all(Trickle(sent), layout)
    assert failure is None
    assert np.abs(returned - samples).max() < LARGEST_ERROR.get(coding, 2**-14)


@pytest.mark.parametrize(
    "text", ["", "48000", "48000,s16le", "48000,s16,2", "0,s16le,1", "16000,s16le,0", "a,s16le,1"]
)
def test_a_raw_format_that_cannot_be_is_told(text):
    with pytest.raises(UsageError, match="--raw"):
        parse_raw(text)


@pytest.mark.parametrize(
    ("subtype", "form"),
    [*((subtype, "WAV") for subtype in WAV_SUBTYPES), ("PCM_24", "WAVEX"), ("FLOAT", "WAVEX")],
)
def test_a_wav_is_read_as_libsndfile_reads_it(subtype, form, noisy_speech):
    wav = wav_bytes(noisy_speech[:1_001].reshape(-1, 7), subtype, form, rate_hz=44_100)
    expected, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
    source = Trickle(wav)
    layout, data_bytes = read_header(source, "it")
    assert (layout.sample_rate_hz, layout.channels, layout.subtype) == (rate_hz, 7, subtype)
    assert data_bytes == 143 * layout.frame_bytes
    samples, failure = read_all(Trickle(wav))
    assert failure is None
    np.testing.assert_array_equal(samples, expected.T)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFF024])
def test_a_size_that_means_unknown_is_until_the_end(size, noisy_speech):
    wav = with_sizes(wav_bytes(noisy_speech[:3_000]), size, size)
    samples, failure = read_all(io.BytesIO(wav))
    assert failure is None
    assert PipeReader(io.BytesIO(wav), None).promised_frames is None
    assert samples.shape == (1, 3_000)


def test_chunks_around_the_sound_are_passed_over(noisy_speech):
    wav = wav_bytes(noisy_speech[:3_001], "PCM_U8")
    tags = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    place = wav.index(b"data")
    samples, failure = read_all(Trickle(wav[:place] + tags + wav[place:] + tags))
    assert failure is None
    assert samples.shape == (1, 3_001)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda wav: wav[:-1], "ended after 0.187 s, its header promises 0.188 s"),
        (lambda wav: wav[:1_000], "its header promises"),
        (lambda wav: with_sizes(wav, 0, 0)[:-1], "middle of a sample"),
        (lambda wav: with_sizes(wav, 0, 2_001), "middle of a sample"),
        (lambda wav: with_sizes(wav, 2_036, 2_000), "more than the 0.062 s"),
        (lambda wav: wav + wav, "a second WAV follows"),
    ],
)
def test_a_wrong_end_is_told_after_what_came_before(change, told, noisy_speech):
    samples, failure = read_all(io.BytesIO(change(wav_bytes(noisy_speech[:3_000]))))
    assert samples.shape[1] >= 478
    assert failure is not None
    assert told in failure.message


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"", "empty"),
        (b"fLaC\0\0\0\x22", "not a WAV"),
        (b"RIFX" + bytes(40), "not a WAV"),
        (make_header(PcmFormat(16_000, 1, "PCM_16"), 5)[:30], "ends inside|damaged"),
        (make_header(PcmFormat(0, 1, "PCM_16"), 5), "0 Hz"),
        (make_header(PcmFormat(16_000, 1, "PCM_16"), 5).replace(b"fmt ", b"fnt "), "no sample"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 2, 1, 8_000, 0, 256, 4), "0x0002"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 8_000, 0, 3, 16), "contra"),
    ],
)
def test_a_header_that_cannot_be_is_told(header, told):
    with pytest.raises(AudioError, match=told):
        PipeReader(io.BytesIO(header), None)


def test_nan_ends_the_stream_and_names_the_sample(noisy_speech):
    bad = np.stack([noisy_speech[:3_000]] * 2)
    bad[1, 2_345] = np.nan
    layout = PcmFormat(16_000, 2, "FLOAT")
    samples, failure = read_all(io.BytesIO(layout.encode(bad)), layout)
    assert samples.shape == (2, 2_345)
    assert "sample 2345 of channel 2" in failure.message


@pytest.mark.parametrize("subtype", WAV_SUBTYPES)
@pytest.mark.parametrize("frames", [None, 1_001])
def test_what_is_written_is_a_wav_for_libsndfile(subtype, frames, noisy_speech):
    sink = io.BytesIO()
    block = noisy_speech[None, :1_001]
    layout = PcmFormat(22_050, 1, subtype)
    with PipeWriter(sink, layout, frames=frames) as writer:
        writer.write(block[:, :500])
        writer.write(block[:, :0])
        writer.write(block[:, 500:])
    sink.seek(0)
    with soundfile.SoundFile(sink) as sound:
        assert (sound.format, sound.subtype, sound.samplerate) == ("WAV", subtype, 22_050)
        assert np.abs(sound.read() - block[0]).max() < 2**-4
    assert frames is None or len(sink.getvalue()) % 2 == 0


def test_past_full_scale_is_clipped_and_counted_or_limited():
    loud = np.array([[0.5, 1.5, -2.0, 0.5]], dtype=np.float32)
    for policy in (ClipPolicy.WARN, ClipPolicy.LIMIT):
        with PipeWriter(io.BytesIO(), PcmFormat(16_000, 1, "PCM_16"), policy) as writer:
            writer.write(loud)
        assert writer.clipped_samples == 2
        assert "past full scale" in writer.note
    with pytest.raises(UsageError, match="--clip rescale"):
        PipeWriter(io.BytesIO(), PcmFormat(16_000, 1, "PCM_16"), ClipPolicy.RESCALE)


@pytest.mark.parametrize(
    ("name", "container", "told"),
    [(".", None, "name the file"), ("a.txt", None, ".flac"), ("a.wav", "flac", "a.flac")],
)
def test_a_file_for_sound_without_a_name_needs_one(name, container, told):
    with pytest.raises(UsageError) as raised:
        format_of_name(Path(name), OutputFormat(container))
    assert told in str(raised.value)
    assert format_of_name(Path("a.FLAC"), OutputFormat()).container == "flac"
