"""The selective scan as fused Triton kernels: one program per sequence and block of features.

Letters: S sequences, L steps, D features, N states per feature. A program, one warp, walks along
the steps with its state, a tile (N, block of D), in registers. The tile is filled up to powers of
two with zeros, which stay zero.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def scan_forward(  # type: ignore[no-untyped-def]
    x, dt, A, B, C, D, initial, y, borders, final, steps, features, states,
    keep_borders: tl.constexpr, chunk: tl.constexpr, block_n: tl.constexpr, block_d: tl.constexpr,
):  # fmt: skip
    """Fill y (S, L, D), borders (S, chunks, N, D) and final (S, N, D).

    x, dt (S, L, D); A (N, D); B, C (S, L, N); D (D,); initial (S, N, D); all float32, C order.
    """
    s = tl.program_id(0).to(tl.int64)
    n = tl.arange(0, block_n)
    d = tl.program_id(1) * block_d + tl.arange(0, block_d)
    has_n, has_d = n < states, d < features
    tile = n[:, None] * features + d[None, :]  # places in an array (N, D)
    in_tile = has_n[:, None] & has_d[None, :]
    a = tl.load(A + tile, mask=in_tile, other=0.0)
    skip = tl.load(D + d, mask=has_d, other=0.0)
    h = tl.load(initial + s * states * features + tile, mask=in_tile, other=0.0)
    for t in range(steps):
        if keep_borders and t % chunk == 0:
            border = s * tl.cdiv(steps, chunk) + t // chunk
            tl.store(borders + border * states * features + tile, h, mask=in_tile)
        row = s * steps + t
        x_t = tl.load(x + row * features + d, mask=has_d, other=0.0)
        dt_t = tl.load(dt + row * features + d, mask=has_d, other=0.0)
        b = tl.load(B + row * states + n, mask=has_n, other=0.0)
        c = tl.load(C + row * states + n, mask=has_n, other=0.0)
        h = tl.exp(dt_t[None, :] * a) * h + b[:, None] * (dt_t * x_t)[None, :]
        y_t = tl.sum(c[:, None] * h, axis=0) + skip * x_t
        tl.store(y + row * features + d, y_t, mask=has_d)
    tl.store(final + s * states * features + tile, h, mask=in_tile)


@triton.jit
def _rebuild_chunk(  # type: ignore[no-untyped-def]
    x, dt, B, a, h, before, first, length, features, d, has_d, states, n, has_n
):
    """The state after `length` steps from row `first`; in `before` the state before each step."""
    for i in range(length):
        tl.store(before + i * a.numel, h)
        row = first + i
        x_t = tl.load(x + row * features + d, mask=has_d, other=0.0)
        dt_t = tl.load(dt + row * features + d, mask=has_d, other=0.0)
        b = tl.load(B + row * states + n, mask=has_n, other=0.0)
        h = tl.exp(dt_t[None, :] * a) * h + b[:, None] * (dt_t * x_t)[None, :]
    return h


@triton.jit  # type: ignore[untyped-decorator]
def scan_backward(  # type: ignore[no-untyped-def]
    x, dt, A, B, C, D, borders, dy, dfinal, dx, ddt, dA, dB, dC, dD, dinitial, scratch,
    steps, features, states, chunk: tl.constexpr, block_n: tl.constexpr, block_d: tl.constexpr,
):  # fmt: skip
    """Fill the gradients dx, ddt (S, L, D) and dinitial (S, N, D).

    dA (S, N, D) and dD (S, D) hold one part per sequence, dB and dC (blocks, S, L, N) one per
    block of features, to be added up by the caller: no atomics, so runs repeat bit by bit.
    `scratch` (S, blocks, chunk, block_n, block_d) takes the rebuilt states of one chunk.
    """
    s = tl.program_id(0).to(tl.int64)
    block, blocks = tl.program_id(1), tl.num_programs(1)
    n, lane = tl.arange(0, block_n), tl.arange(0, block_d)
    d = block * block_d + lane
    has_n, has_d = n < states, d < features
    tile = n[:, None] * features + d[None, :]  # places in an array (N, D)
    in_tile = has_n[:, None] & has_d[None, :]
    before = scratch + (s * blocks + block) * chunk * block_n * block_d
    before += n[:, None] * block_d + lane[None, :]
    a = tl.load(A + tile, mask=in_tile, other=0.0)
    skip = tl.load(D + d, mask=has_d, other=0.0)
    dh = tl.load(dfinal + s * states * features + tile, mask=in_tile, other=0.0)
    da, dskip = tl.zeros_like(a), tl.zeros_like(skip)
    for chunks_left in range(tl.cdiv(steps, chunk), 0, -1):
        start = (chunks_left - 1) * chunk
        border = (s * tl.cdiv(steps, chunk) + chunks_left - 1) * states * features
        h = tl.load(borders + border + tile, mask=in_tile, other=0.0)
        length = tl.minimum(steps - start, chunk)
        first = s * steps + start
        h = _rebuild_chunk(
            x, dt, B, a, h, before, first, length, features, d, has_d, states, n, has_n
        )
        tl.debug_barrier()  # what one thread stored another may load
        for i in range(length - 1, -1, -1):
            row = first + i
            x_t = tl.load(x + row * features + d, mask=has_d, other=0.0)
            dt_t = tl.load(dt + row * features + d, mask=has_d, other=0.0)
            dy_t = tl.load(dy + row * features + d, mask=has_d, other=0.0)
            b = tl.load(B + row * states + n, mask=has_n, other=0.0)
            c = tl.load(C + row * states + n, mask=has_n, other=0.0)
            dh += c[:, None] * dy_t[None, :]
            part = ((block * tl.num_programs(0) + s) * steps + start + i) * states + n
            tl.store(dC + part, tl.sum(h * dy_t[None, :], axis=1), mask=has_n)
            tl.store(dB + part, tl.sum(dh * (dt_t * x_t)[None, :], axis=1), mask=has_n)
            ddtx = tl.sum(dh * b[:, None], axis=0)
            h = tl.load(before + i * a.numel)
            dh *= tl.exp(dt_t[None, :] * a)
            through = dh * h
            da += through * dt_t[None, :]
            dskip += dy_t * x_t
            ddt_t = tl.sum(through * a, axis=0) + ddtx * x_t
            tl.store(dx + row * features + d, ddtx * dt_t + skip * dy_t, mask=has_d)
            tl.store(ddt + row * features + d, ddt_t, mask=has_d)
        tl.debug_barrier()
    tl.store(dA + s * states * features + tile, da, mask=in_tile)
    tl.store(dD + s * features + d, dskip, mask=has_d)
    tl.store(dinitial + s * states * features + tile, dh, mask=in_tile)
