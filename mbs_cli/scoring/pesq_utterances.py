"""How many utterances PESQ finds in a reference, counted by the `pesq` package's own functions.

The package keeps them in a table of 50 without looking whether they fit: more of them overwrite
what lies behind, which gives wrong numbers before it ends the process. Each takes at least 0.2 s of
speech and 0.2 s of pause, so that up to 20 s nothing can happen; above that the functions which
find the utterances are called here, with a buffer of our own.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ

TABLE_ENTRIES = 50
SAFE_SECONDS = TABLE_ENTRIES * 0.4
MOST_UTTERANCES = TABLE_ENTRIES - 2  # below the table's size by more than rounding could matter
_WINDOW_SAMPLES = 64  # 4 ms
_FEWEST_WINDOWS = 50  # a shorter stretch of speech is no utterance
_MARGIN_SAMPLES = 75 * _WINDOW_SAMPLES  # that the package puts before and after a signal
_IRS_POINTS = 26


class _SignalInfo(ctypes.Structure):
    """SIGNAL_INFO of the package's pesq.h."""

    _fields_ = (
        ("path_name", ctypes.c_char * 512),
        ("file_name", ctypes.c_char * 128),
        ("samples", ctypes.c_long),
        ("apply_swap", ctypes.c_long),
        ("input_filter", ctypes.c_long),
        ("data", ctypes.POINTER(ctypes.c_float)),
        ("activity", ctypes.POINTER(ctypes.c_float)),
        ("log_activity", ctypes.POINTER(ctypes.c_float)),
    )


def count_utterances(reference: NDArray[Any], is_wide_band: bool) -> int | None:
    """The utterances of a reference (S,) at 16 kHz; None where the package cannot tell."""
    samples = np.ascontiguousarray(reference / np.abs(reference).max(), dtype=np.float32)
    try:
        activity = _activity(_library(), samples, is_wide_band)
    except (ImportError, OSError, AttributeError):  # the functions are not reachable everywhere
        return None
    edges = np.flatnonzero(np.diff(activity > 0, prepend=False, append=False))
    return int(np.count_nonzero(edges[1::2] - edges[::2] >= _FEWEST_WINDOWS))


@cache
def _library() -> ctypes.CDLL:
    """The package's compiled module, whose C functions are visible on Linux and macOS."""
    from pesq import cypesq  # type: ignore[attr-defined, unused-ignore]

    library = ctypes.CDLL(cypesq.__file__)
    float_pointer, length = ctypes.POINTER(ctypes.c_float), ctypes.c_long
    library.select_rate.argtypes = (length, ctypes.c_void_p, ctypes.c_void_p)
    library.load_src.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    library.apply_filter.argtypes = (float_pointer, length, ctypes.c_int, ctypes.c_void_p)
    library.IIRFilt.argtypes = (
        *(float_pointer, ctypes.c_ulong, ctypes.c_void_p),
        *(ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p),
    )
    library.DC_block.argtypes = (float_pointer, length)
    library.apply_filters.argtypes = (float_pointer, length)
    library.calc_VAD.argtypes = (ctypes.c_void_p,)
    library.safe_free.argtypes = (ctypes.c_void_p,)
    return library


def _activity(library: ctypes.CDLL, samples: NDArray[Any], is_wide_band: bool) -> NDArray[Any]:
    """Positive where the package hears speech, per window of 4 ms: the steps of pesq_measure."""
    flag, message = ctypes.c_long(0), ctypes.c_char_p()
    library.select_rate(SAMPLE_RATE_HZ, ctypes.byref(flag), ctypes.byref(message))
    info = _SignalInfo(samples=samples.size)
    info.data = samples.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    library.load_src(ctypes.byref(flag), ctypes.byref(message), ctypes.byref(info))  # a copy
    assert flag.value == 0, message.value
    windows = info.samples // _WINDOW_SAMPLES
    activity, log_activity = (np.zeros(windows + 8, dtype=np.float32) for _ in range(2))
    info.activity = activity.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    info.log_activity = log_activity.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    if is_wide_band:
        _wide_band_filter(library, info)
    else:
        curve = (ctypes.c_double * (2 * _IRS_POINTS)).in_dll(library, "standard_IRS_filter_dB")
        library.apply_filter(info.data, info.samples, _IRS_POINTS, ctypes.byref(curve))
    library.DC_block(info.data, info.samples)
    library.apply_filters(info.data, info.samples)
    library.calc_VAD(ctypes.byref(info))
    library.safe_free(info.data)
    return activity[:windows]


def _wide_band_filter(library: ctypes.CDLL, info: _SignalInfo) -> None:
    sections = ctypes.c_long.in_dll(library, "WB_InIIR_Nsos_16k").value
    coefficients = (ctypes.c_float * (5 * sections)).in_dll(library, "WB_InIIR_Hsos_16k")
    start = ctypes.addressof(info.data.contents) + _MARGIN_SAMPLES * ctypes.sizeof(ctypes.c_float)
    library.IIRFilt(coefficients, sections, None, start, info.samples - 2 * _MARGIN_SAMPLES, None)
