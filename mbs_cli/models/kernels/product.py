"""Matrix products inside kernels, of factors in words (`mbs_cli.models.kernels.tile_product`).

Letters: R rows, I words along the depth, C columns, a multiple of COLUMNS: weights are padded.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.extending import register_jitable

from mbs_cli.models.kernels.lanes import LANES
from mbs_cli.models.kernels.tile_product import (
    ROWS,
    VECTORS,
    make_tile,
    write_lanes,
    write_paired_lanes,
)

COLUMNS = VECTORS * LANES  # of a tile
_tile, _single_row = make_tile(ROWS, VECTORS), make_tile(1, VECTORS)


@register_jitable
def tile_rows(count: Any) -> Any:
    """How many rows to compute where `count` are wanted: a tile mostly used beats single rows."""
    used = count % ROWS
    return count - used + ROWS if used > ROWS // 4 else count


@register_jitable
def padded_rows(count: Any) -> Any:
    """Rows of a buffer that holds what `tile_rows` may compute."""
    return (count + ROWS - 1) // ROWS * ROWS


@register_jitable
def padded_columns(count: Any) -> Any:
    """Columns of a buffer where `count` are wanted: as many as weights are padded to."""
    return (count + COLUMNS - 1) // COLUMNS * COLUMNS


@njit(error_model="numpy")
def product(x, weight, bias, y):  # type: ignore[no-untyped-def]
    """Fill y (R, C) with bias (C,) + x (R, I) weight (I, C)."""
    rows = x.shape[0]
    whole = rows // ROWS * ROWS
    for c in range(0, weight.shape[1], COLUMNS):
        d = c + COLUMNS
        for r in range(0, whole, ROWS):
            _tile(x[r : r + ROWS], weight[:, c:d], bias[c:d], y[r : r + ROWS, c:d])
        for r in range(whole, rows):
            _single_row(x[r : r + 1], weight[:, c:d], bias[c:d], y[r : r + 1, c:d])


@njit(error_model="numpy")
def add_product(x, weight, y):  # type: ignore[no-untyped-def]
    """Add x (R, I) weight (I, C) to y (R, C); R a multiple of ROWS."""
    for c in range(0, weight.shape[1], COLUMNS):
        d = c + COLUMNS
        for r in range(0, x.shape[0], ROWS):
            part = y[r : r + ROWS, c:d]
            _tile(x[r : r + ROWS], weight[:, c:d], part, part)


@njit(error_model="numpy")
def write_rows(values, words):  # type: ignore[no-untyped-def]
    """Write values (R, I) as the rows of x: its words lie along the depth. I is padded."""
    for r in range(values.shape[0]):
        for i in range(0, values.shape[1], LANES):
            write_lanes(values, words, r, i)  # type: ignore[call-arg]


@njit(error_model="numpy")
def write_pair(values, row, words):  # type: ignore[no-untyped-def]
    """Write values (2, C) as rows `row` (even) and row + 1 of a weight (I, C)."""
    for c in range(0, values.shape[1], LANES):
        write_paired_lanes(values, words, row, c)  # type: ignore[call-arg]
