"""`mbs enhance`: options in, one library call, a display while it runs and a summary after it."""

from __future__ import annotations

import typer

from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.commands import enhance_options as options
from mbs_cli.commands.enhance_pipe import StreamForm, enhance_standard, is_piped
from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.device import Device
from mbs_cli.enhancement.engine import DEFAULT_BATCH_SIZE, Engine
from mbs_cli.enhancement.files import enhance_paths
from mbs_cli.enhancement.loading import DEFAULT_LIVE_MODEL, DEFAULT_MODEL, Backend
from mbs_cli.enhancement.plan import parse_shard
from mbs_cli.enhancement.report import Status
from mbs_cli.enhancement.treatment import ChannelMode, Treatment
from mbs_cli.models.precision import Precision


def enhance(
    context: typer.Context,
    output: options.Output,
    paths: options.Paths = None,
    model: options.Model = None,
    device: options.ComputeDevice = Device.AUTO,
    backend: options.ModelBackend = Backend.TORCH,
    precision: options.ProductPrecision = Precision.AUTO,
    channels: options.Channels = ChannelMode.LINKED,
    attenuation_limit_db: options.AttenuationLimit = None,
    dry: options.Dry = 0.0,
    pcs: options.Pcs = False,
    clip: options.Clip = ClipPolicy.WARN,
    container: options.Format = None,
    raw: options.Raw = None,
    subtype: options.Subtype = None,
    sample_rate: options.SampleRate = None,
    video: options.Video = False,
    overwrite: options.Overwrite = False,
    batch_size: options.BatchSize = DEFAULT_BATCH_SIZE,
    threads: options.Threads = None,
    jobs: options.Jobs = 1,
    shard: options.Shard = "1/1",
    manifest: options.Manifest = None,
    as_json: options.AsJson = False,
    page: options.Page = None,
) -> None:
    """Remove noise from speech.

    Reads what libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, ...) and, if ffmpeg is installed, what
    that reads (M4A, AAC, WebM, videos, ...), any sample rate and number of channels. The output
    has the input's sample rate, channels, length, container, sample format and tags, with no
    delay. Files of any length are worked on in blocks.

    The model hears up to 8 kHz. What a file holds above follows the gain of the highest bands
    that the model hears (6.5-8 kHz), never more than 1.

    Files that are done already are skipped, so an interrupted run can be started again.

    With - in place of a file sound goes through a pipe, as it arrives: mbs enhance - -o -
    The model for pipes hears no more than 32 ms ahead.
    """
    from mbs_cli.commands.enhance_display import open_display, print_summary
    from mbs_cli.commands.enhance_page import check_page, write_page

    treatment = Treatment(channels, dry, attenuation_limit_db, pcs)
    if raw is not None or is_piped(paths or [], output):
        engine = Engine(
            model or DEFAULT_LIVE_MODEL, device, backend, threads=threads, precision=precision
        )
        form = StreamForm(raw, container, subtype, sample_rate, clip)
        enhance_standard(context, paths or [], output, engine, treatment, form)
        return
    check_page(page)
    model = model or DEFAULT_MODEL
    with open_display() as on_event:
        report = enhance_paths(
            paths or [],
            output,
            model=model,
            device=device,
            backend=backend,
            precision=precision,
            treatment=treatment,
            output_format=OutputFormat(container, subtype, sample_rate, clip, video),
            overwrite=overwrite,
            batch_size=batch_size,
            threads=threads,
            jobs=jobs,
            shard=parse_shard(shard),
            manifest=manifest,
            on_event=on_event,
        )
    if page is not None:
        write_page(report, page, model)
    print_summary(report, as_json)
    if report.count(Status.FAILED):
        raise typer.Exit(ExitCode.FAILED)
