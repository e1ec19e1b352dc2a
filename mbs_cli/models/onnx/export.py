"""Writing a checkpoint's model as an ONNX file that is known to compute what torch does.

Imports nothing heavy.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mbs_cli import __version__
from mbs_cli.atomic_file import atomic_file, check_creatable
from mbs_cli.errors import CheckpointError, UsageError
from mbs_cli.models.catalogue import WEIGHTS
from mbs_cli.models.onnx.packages import require_onnx
from mbs_cli.models.onnx.signature import Form, endless_form
from mbs_cli.models.shipped import resolve_model

if TYPE_CHECKING:
    from mbs_cli.models.config import ModelConfig
    from mbs_cli.models.onnx.session import OnnxModel

SUFFIX = ".onnx"
LARGEST_DIFFERENCE = 1e-4  # of full scale
_GRAPHS = 2  # raised when other graphs are written: part of the names in the cache
_LICENCE_OF_SHIPPED = "Apache-2.0"


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how far it is from torch."""

    target: Path
    form: Form
    file_bytes: int
    largest_difference: float  # of full scale, between enhanced samples
    checked_seconds: float  # of speech


def export_model(
    model: str | Path, target: str | Path, form: Form | str | None = None
) -> ExportReport:
    """Write a shipped model or a checkpoint as `target`, by default in the form for signals of any
    length: a causal model as a stream, one that looks ahead on windows.

    The file is run by onnxruntime on speech and compared with torch before it gets its name; an
    older `target` is then replaced.

    Raises UsageError (unknown model or form, a form that the model does not have, packages that are
    not installed), CheckpointError (not a checkpoint, the target cannot be written, the file does
    not compute what torch does).
    """
    require_onnx()
    source, target = resolve_model(str(model)), Path(target)
    if target.suffix != SUFFIX:
        raise UsageError(f"{target}: expected a name that ends in {SUFFIX}")
    from mbs_cli.models.checkpoint import file_sha256, load_checkpoint
    from mbs_cli.models.onnx.build import build_onnx
    from mbs_cli.models.onnx.check import compare
    from mbs_cli.models.onnx.description import OnnxInfo
    from mbs_cli.models.onnx.session import OnnxModel

    network, checkpoint = load_checkpoint(source)
    chosen = _choose_form(form, network.config, source)
    licence = _LICENCE_OF_SHIPPED if source.parent == WEIGHTS else None
    info = OnnxInfo(chosen, network.config, checkpoint, file_sha256(source), licence)
    try:
        with atomic_file(target, durable=True) as partial:
            partial.write_bytes(build_onnx(network, info).SerializeToString(deterministic=True))
            difference, seconds = compare(network, OnnxModel(partial))
            if not difference <= LARGEST_DIFFERENCE:  # NaN included
                raise CheckpointError(
                    f"{target} was not written: it differs from torch by {difference:.1e} of full "
                    f"scale, expected at most {LARGEST_DIFFERENCE:.0e}",
                    "the weights may be of a failed training; try another checkpoint",
                )
    except OSError as error:
        raise CheckpointError(
            f"{target} cannot be written: {error.strerror}", "choose another place"
        ) from error
    return ExportReport(target, chosen, target.stat().st_size, difference, seconds)


def load_exported(checkpoint: Path) -> OnnxModel:
    """The model of a checkpoint, exported into the user's cache folder once for all.

    Where nothing can be written there it is exported for this time alone. Raises what
    `export_model` raises.
    """
    require_onnx()
    from platformdirs import user_cache_path

    from mbs_cli.models.checkpoint import file_sha256
    from mbs_cli.models.onnx.session import OnnxModel

    name = f"{file_sha256(checkpoint)[:24]}-{__version__}-{_GRAPHS}{SUFFIX}"
    path = user_cache_path("mbs") / "onnx" / name
    try:
        return OnnxModel(path)
    except CheckpointError:  # not there yet, or damaged
        pass
    with ExitStack() as stack:
        try:
            check_creatable(path)
        except OSError:
            path = Path(stack.enter_context(TemporaryDirectory())) / name
        export_model(checkpoint, path)
        return OnnxModel(path)


def _choose_form(form: Form | str | None, config: ModelConfig, source: Path) -> Form:
    endless = endless_form(config)
    if form is None:
        return endless
    if form not in list(Form):
        raise UsageError(f"no form {form!r}", f"choose one of {', '.join(Form)}")
    if form == Form.STREAM and endless != form:
        raise UsageError(
            f"{source}: this model looks both ways in time, so it cannot run as a stream",
            "export it with --form window, or choose a causal model such as mbs-net",
        )
    if form == Form.WINDOW and endless != form:
        raise UsageError(
            f"{source}: this model does not look ahead, so it needs no windows",
            "export it with --form stream",
        )
    return Form(form)
