"""`mbs export`: a model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbs_cli.commands.text_output import check_target
from mbs_cli.models.onnx.export import LARGEST_DIFFERENCE, export_model
from mbs_cli.models.onnx.signature import Form


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="A shipped model or a checkpoint file."),
    ],
    output: Annotated[
        Path, typer.Argument(metavar="FILE.onnx", help="The file to write; one there is replaced.")
    ],
    form: Annotated[
        Form | None,
        typer.Option(
            help="stream: the next frames, from a state that goes in and comes out. window: the "
            "same of a model that looks ahead, with frames to look ahead at. whole: whole "
            "signals, without a state.",
            show_default="stream, or window for a model that looks ahead",
        ),
    ] = None,
) -> None:
    """Write a model as an ONNX file, to be run without Python and torch.

    The file holds the network from STFT to STFT; docs/onnx.md says how to make samples into frames
    and back. Before it gets its name it is run by onnxruntime on speech beside torch; if the
    enhanced samples differ by more than 1e-4 of full scale it is not kept.
    """
    check_target(output)
    report = export_model(model, output, form)
    print(
        f"{report.target}: {report.form} form of {model}, {report.file_bytes / 1e6:.1f} MB\n"
        f"largest difference from torch on {report.checked_seconds:g} s of speech: "
        f"{report.largest_difference:.1e} of full scale (limit {LARGEST_DIFFERENCE:.0e})"
    )
