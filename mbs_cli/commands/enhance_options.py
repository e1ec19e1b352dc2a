"""The options of `mbs enhance`, one type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbs_cli.audio.output_format import FORMATS, ClipPolicy
from mbs_cli.audio.sample_rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mbs_cli.device import Device
from mbs_cli.enhancement.loading import DEFAULT_LIVE_MODEL, DEFAULT_MODEL, Backend
from mbs_cli.enhancement.treatment import ChannelMode
from mbs_cli.models.precision import Precision

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Audio files, and folders that are searched for them with all below; - for a WAV, or "
        "with --raw bare samples, on standard input.",
        show_default=False,
        readable=False,  # one that is not readable fails by itself
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Folder for the enhanced files, which keep their names and the tree they come "
        "from; for one single file also a file name, or - for standard output.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="A shipped model or a checkpoint file; with --backend onnx also an ONNX file by mbs "
        "export.",
        show_default=f"{DEFAULT_MODEL}; for pipes {DEFAULT_LIVE_MODEL}",
    ),
]
ComputeDevice = Annotated[
    Device, typer.Option(help="Where to compute; auto takes cuda, then mps, then cpu.")
]
ModelBackend = Annotated[
    Backend, typer.Option(help="What runs the model: torch, or onnxruntime on the CPU.")
]
ProductPrecision = Annotated[
    Precision,
    typer.Option(
        help="Of matrix products on the CPU; auto takes bfloat16, which is faster and sounds the "
        "same, where the CPU has instructions for it, else float32."
    ),
]

Channels = Annotated[
    ChannelMode,
    typer.Option(
        help="linked: one mask for all channels, so that the stereo image stays. independent: "
        "each channel by itself. mono: the mean of the channels, which alone comes out.",
    ),
]
AttenuationLimit = Annotated[
    float | None,
    typer.Option(
        "--attenuation-limit",
        metavar="DB",
        min=0.0,
        help="Noise gets no more than DB quieter: the output holds 10^(-DB/20) of the input, as "
        "with --dry. Of both options the larger share counts.",
        show_default="no limit",
    ),
]
Dry = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        help="The input's share: output = (1 - DRY) * enhanced + DRY * input, sample by sample.",
    ),
]
Pcs = Annotated[
    bool,
    typer.Option(
        "--pcs",
        help="Perceptual contrast stretching after the model: raises PESQ, while SI-SDR and the "
        "rating of the background get worse.",
    ),
]
Clip = Annotated[
    ClipPolicy,
    typer.Option(
        help="Samples past full scale, unless the output is float. warn: clip them and say how "
        "many. rescale: one gain for the whole file. limit: turn the gain down around them.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help=f"Container, and suffix, of the outputs: {', '.join(FORMATS)}; on standard output "
        "wav or raw.",
        show_default="the input's",
    ),
]
Raw = Annotated[
    str | None,
    typer.Option(
        metavar="RATE,FORMAT,CHANNELS",
        help="Standard input is bare samples, such as 48000,s16le,2, and so is standard output; "
        "FORMAT as ffmpeg calls it: u8, s8, s16le, s24le, s32le, f32le, f64le, the same with be, "
        "mulaw, alaw.",
        show_default=False,
    ),
]
Subtype = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Sample format: PCM_16, PCM_24, FLOAT, ... as libsndfile calls them; in m4a, aac, "
        "mp4, mov, mka, mkv and webm a codec: aac, alac, opus, ...",
        show_default="the input's",
    ),
]
SampleRate = Annotated[
    int | None,
    typer.Option(
        metavar="HZ",
        min=LOWEST_RATE_HZ,
        max=HIGHEST_RATE_HZ,
        help="Sample rate of the outputs.",
        show_default="the input's",
    ),
]
Video = Annotated[
    bool,
    typer.Option(
        "--video",
        help="Keep the picture of videos, untouched, with the cleaned sound track; folders are "
        "searched for videos, too.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Redo files whose output exists already.")
]
BatchSize = Annotated[
    int, typer.Option(min=1, help="Short files that go through the model at once.")
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads, of all jobs together.", show_default="all cores"),
]
Jobs = Annotated[
    int,
    typer.Option(
        min=1, help="Processes that share the files and the threads, for many files on many cores."
    ),
]
Shard = Annotated[
    str,
    typer.Option(
        metavar="I/N", help="Do the I-th of N equal shares of the files, in N runs or machines."
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Keep a table of all files: path, output, status, seconds, gain_db, error. Without "
        "PATH it also names the files, in its column path.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the report as JSON on standard output.")
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="A page to hear and see every file before and after.",
        show_default=False,
    ),
]
