"""`mbs live`: from a microphone to a speaker, with the delay and the load in one line."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbs_cli.device import limit_threads
from mbs_cli.enhancement.loading import DEFAULT_LIVE_MODEL
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import UsageError

if TYPE_CHECKING:
    from mbs_cli.audio.audio_device import AudioDevice

_DEVICE_HELP = "a number or a part of its name as --list-devices shows them"


def live(
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Show microphones and speakers, and end.")
    ] = False,
    recorder: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="DEVICE|FILE",
            help=f"Microphone, {_DEVICE_HELP}; or a file to be heard in its place.",
            show_default="the system's",
        ),
    ] = None,
    player: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="DEVICE|FILE",
            help=f"Speaker or virtual device, {_DEVICE_HELP}; with a file as input, a new file.",
            show_default="the system's",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="A causal model: shipped, or a checkpoint.")
    ] = DEFAULT_LIVE_MODEL,
    dry: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The input's share of the output.")
    ] = 0.0,
    attenuation_limit_db: Annotated[
        float | None,
        typer.Option(
            "--attenuation-limit",
            metavar="DB",
            min=0.0,
            help="Noise gets no more than DB quieter.",
            show_default="no limit",
        ),
    ] = None,
    block_ms: Annotated[
        float,
        typer.Option(
            min=1.0,
            max=250.0,
            help="Length of the blocks in ms: shorter ones cost less delay and more computing.",
        ),
    ] = 16.0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop after that time.", show_default="until Ctrl-C"),
    ] = None,
) -> None:
    """Enhance a microphone while you speak.

    What is recorded goes through a causal model to a speaker, or to a virtual device that other
    programs take for a microphone. Needs the package sounddevice: pip install 'mbs-cli[live]'.

    Without a sound card, mbs live --input FILE --output FILE does the same with files at the speed
    of a real device.
    """
    from mbs_cli.commands.live_display import print_devices, print_end, status_line

    if list_devices:
        print_devices()
        return
    device = _open_device(recorder, player, block_ms / 1000)
    treatment = Treatment(dry=dry, attenuation_limit_db=attenuation_limit_db)
    from mbs_cli.enhancement.live import enhance_live

    _prepare(threads)
    status = None
    running = enhance_live(device, model, treatment=treatment, seconds=seconds)
    try:
        with closing(running), status_line() as show:
            for status in running:
                show(status)
    except KeyboardInterrupt:
        pass  # the usual end
    if status is not None:
        print_end(status)


def _open_device(recorder: str | None, player: str | None, block_seconds: float) -> AudioDevice:
    """Two files are a simulated card, anything else is a real one."""
    from mbs_cli.audio.simulated_card import SimulatedCard
    from mbs_cli.audio.sound_card import SoundCard

    if recorder is None or not os.path.isfile(recorder):  # noqa: PTH113 - may raise
        return SoundCard(recorder, player, block_seconds)
    if player is None:
        raise UsageError(
            f"--input {recorder}: a file is heard in place of a microphone, and nothing is written",
            "give --output another file",
        )
    return SimulatedCard(Path(recorder), Path(player), block_seconds)


def _prepare(threads: int) -> None:
    """Make this process one that answers in time."""
    limit_threads(threads)
    sys.setswitchinterval(0.001)  # how long the device's thread waits for Python at most
    gc.freeze()  # what was imported is not searched for garbage again and again
