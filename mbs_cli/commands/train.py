"""`mbs train`: options in, one library call, a live view while it runs."""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.device import Device
from mbs_cli.models.config import PRESETS
from mbs_cli.training.config import LossConfig, TrainConfig


class Clock(StrEnum):
    """What `--clock` accepts."""

    WALL = "wall"
    CPU = "cpu"


_DEFAULTS = TrainConfig(data=Path(), out=Path(), steps=1)


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder with clean/ and noisy/ (pairs), or clean/ and noise/ (and rir/) to be "
            "mixed; or with train/ and valid/ that hold them; or with the folders of "
            "VoiceBank+DEMAND; or a manifest CSV.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The run folder: weights, metrics, and what --resume needs.")
    ],
    model: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = _DEFAULTS.model,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Change one field of the model's config, e.g. time_layer=lstm. Repeatable.",
            show_default=False,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Fine-tune: start from a shipped model or a checkpoint of the same preset.",
            show_default="from scratch",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train that long, resumed runs counted together.")
    ] = None,
    clock: Annotated[
        Clock, typer.Option(help="What --minutes counts: time on the wall or of the processor.")
    ] = Clock.WALL,
    steps: Annotated[
        int | None, typer.Option(help="Train that many steps instead; exactly repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    batch_size: Annotated[int, typer.Option(help="Clips per step.")] = _DEFAULTS.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate after the warm-up.")
    ] = _DEFAULTS.learning_rate,
    magnitude_weight: Annotated[
        float, typer.Option(help="Weight of the error of compressed magnitudes.")
    ] = _DEFAULTS.loss.magnitude,
    complex_weight: Annotated[
        float, typer.Option(help="Weight of the error of compressed complex values.")
    ] = _DEFAULTS.loss.complex,
    si_sdr_weight: Annotated[
        float, typer.Option(help="Weight of SI-SDR, in bels.")
    ] = _DEFAULTS.loss.si_sdr,
    pcs_targets: Annotated[
        bool,
        typer.Option(
            "--pcs-targets",
            help="Train towards speech with perceptual contrast stretching: higher PESQ, lower "
            "CBAK and SI-SDR.",
        ),
    ] = _DEFAULTS.pcs_targets,
    seed: Annotated[
        int, typer.Option(help="Decides the initial weights and every clip.")
    ] = _DEFAULTS.seed,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto takes cuda, then mps, then cpu.")
    ] = Device.AUTO,
    bfloat16: Annotated[
        bool,
        typer.Option(help="Matrix products in bfloat16; scan, loss and weights stay float32."),
    ] = _DEFAULTS.bfloat16,
    checkpoint_activations: Annotated[
        bool,
        typer.Option(
            "--checkpoint-activations",
            help="Compute every encoder layer twice to keep less memory for the backward pass "
            "(mbs-net, 4 clips of 2 s on a CPU: 176 in place of 818 MB); steps take about a "
            "quarter longer, gradients stay the same.",
        ),
    ] = _DEFAULTS.checkpoint_activations,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that mix clips.")
    ] = _DEFAULTS.workers,
    save_minutes: Annotated[
        float, typer.Option(help="Minutes between two saves.")
    ] = _DEFAULTS.save_minutes,
    validate_minutes: Annotated[
        float, typer.Option(help="Minutes between two validations.")
    ] = _DEFAULTS.validate_minutes,
    validation_items: Annotated[
        int, typer.Option(help="Held-out utterances scored each time.")
    ] = _DEFAULTS.validation_items,
    tensorboard: Annotated[
        bool,
        typer.Option(
            help="Write scalars, sound and spectrograms for TensorBoard into the run folder."
        ),
    ] = _DEFAULTS.tensorboard,
    json_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|-",
            help="Write every event as a line of JSON (docs/training.md); - is standard output.",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for decoded audio.", show_default="the user's cache folder"),
    ] = None,
) -> None:
    """Train a model on your own speech and noise.

    What DATA holds is recognised, checked file by file and reported before the first step. Noisy
    clips are mixed anew for every step. Held-out voices and noises are scored on the way
    (PESQ, STOI, SI-SDR over whole utterances); OUT/best.safetensors is the best model so far,
    ready for `mbs enhance --model`. Stopped with Ctrl-C or killed, the run goes on with --resume.
    """
    from mbs_cli.models.shipped import resolve_model
    from mbs_cli.training.environment import restart_with_kept_memory

    if device in (Device.AUTO, Device.CPU):
        restart_with_kept_memory(sys.argv[1:])
    config = TrainConfig(
        data=data,
        out=out,
        model=model,
        switches=tuple(switch or ()),
        init=None if init is None else resolve_model(init),
        minutes=minutes,
        clock="cpu" if clock is Clock.CPU else "wall",
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=str(device),
        bfloat16=bfloat16,
        checkpoint_activations=checkpoint_activations,
        workers=workers,
        save_minutes=save_minutes,
        validate_minutes=validate_minutes,
        validation_items=validation_items,
        tensorboard=tensorboard,
        cache=cache,
        pcs_targets=pcs_targets,
        loss=LossConfig(magnitude_weight, complex_weight, si_sdr_weight),
    )
    _run(config, resume, json_log)


def _run(config: TrainConfig, resume: bool, json_log: Path | None) -> None:
    from mbs_cli.commands.train_display import open_display, print_finished
    from mbs_cli.commands.train_json_log import fills_standard_output, log_beside
    from mbs_cli.training.trainer import train as train_model

    stop_requested = False

    def request_stop(*_: Any) -> None:
        nonlocal stop_requested
        if stop_requested:
            raise KeyboardInterrupt
        stop_requested = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    is_stdout_taken = fills_standard_output(json_log)
    with (
        open_display(is_live=not (is_stdout_taken and sys.stdout.isatty())) as show,
        log_beside(show, json_log) as on_event,
    ):
        finished = train_model(config, resume, on_event, lambda: stop_requested)
    if not is_stdout_taken:
        print_finished(finished, config)
    if not finished.complete:
        raise typer.Exit(ExitCode.INTERRUPTED)
