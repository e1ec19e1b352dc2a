"""Layers of the encoders as parts of an ONNX graph.

Letters: L steps along one of the three axes T frames, B signals, K bands; P, Q the other two;
S sequences; D features, E and H inner features, N states.

A layer runs along the first axis of its input (L, P, Q, D), so that a step lies in one piece.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add

import numpy as np
from torch import Tensor, nn

from mbs_cli.models.decoders import Head
from mbs_cli.models.encoder import BandMixer, LstmLayer
from mbs_cli.models.mamba import CONV_WIDTH, Mamba, MambaLayer
from mbs_cli.models.onnx.graph import Array, Value

# The gates of an LSTM by their place in torch's weights: input, output, forget, cell.
_GATES = (0, 3, 1, 2)

LayerState = tuple[Value, Value]


def array(tensor: Tensor) -> Array:
    """The numbers of a parameter."""
    values: Array = tensor.detach().cpu().numpy()
    return values


def linear(x: Value, layer: nn.Linear | Head) -> Value:
    """(..., I) -> (..., O)."""
    y = x @ array(layer.weight.mT)
    return y if layer.bias is None else y + array(layer.bias)


def layer_norm(x: Value, layer: nn.LayerNorm) -> Value:
    """Over the last axis."""
    scale, shift = array(layer.weight), array(layer.bias)
    return x.apply("LayerNormalization", scale, shift, axis=-1, epsilon=layer.eps)


def past_steps(padded: Value, count: int, kept: Value | None) -> Value:
    """What a later call needs of `padded`, which has so many steps of the past in front: those
    before step `kept` (1,), or, for None, the last ones.
    """
    return padded.slice(-count) if kept is None else padded.slice(kept, kept + count)


def mamba_layer(
    x: Value, layer: MambaLayer, state: LayerState, kept: Value | None = None
) -> tuple[Value, LayerState]:
    """(L, P, Q, D) -> (L, P, Q, D), and the forward direction's state after the last step, or
    after the first `kept` (1,).

    The state is the last inputs of the convolution (CONV_WIDTH - 1, P, Q, E) and that of the scan
    (P, Q, N, E).
    """
    normed = layer_norm(x, layer.norm)
    if layer.backward_mamba is None or layer.merge is None:
        y, state = _mamba(normed, layer.forward_mamba, state, kept=kept)
        return x + y, state
    # Merge and output projections follow each other: one product does for both.
    ahead, back = layer.merge.weight.chunk(2, dim=1)
    silence = silent_state(normed, layer.backward_mamba)
    y, state = _mamba(normed, layer.forward_mamba, state, ahead, kept=kept)
    reverse, _ = _mamba(normed, layer.backward_mamba, silence, back, backwards=True)
    return x + y + reverse + array(layer.merge.bias), state


def silent_state(x: Value, block: Mamba) -> LayerState:
    """The state before the first step of x (L, P, Q, D)."""
    others, (inner, states) = x.lengths(1, 3), block.A_log.shape
    graph = x.graph
    return graph.zeros(CONV_WIDTH - 1, others, inner), graph.zeros(others, states, inner)


def _mamba(
    x: Value,
    block: Mamba,
    state: LayerState,
    merge: Tensor | None = None,
    backwards: bool = False,
    kept: Value | None = None,
) -> tuple[Value, LayerState]:
    """One direction without norm and residual; `merge` (D, D) multiplies what comes out."""
    past, scan_state = state
    inner = block.D.shape[0]
    raw_weight, gate_weight = block.in_proj.weight.split(inner)
    raw, gate = x @ array(raw_weight.mT), x @ array(gate_weight.mT)
    main, past = _convolve(raw, block, past, backwards, kept)
    y, scan_state = _selective_scan(main, block, scan_state, backwards, kept)
    out_weight = block.out_proj.weight if merge is None else merge @ block.out_proj.weight
    return (y * gate.silu()) @ array(out_weight.mT), (past, scan_state)


def _convolve(
    x: Value, block: Mamba, past: Value, backwards: bool, kept: Value | None
) -> tuple[Value, Value]:
    """SiLU of the depthwise convolution of x (L, P, Q, E), and its last CONV_WIDTH - 1 inputs."""
    most, weights = CONV_WIDTH - 1, array(block.conv_weight)
    around = (past, x)
    if backwards:
        around, weights = (x, past), weights[::-1]
    padded = x.graph.concat(*around, axis=0)
    terms = (padded.slice(tap, tap - most or None) * weights[tap] for tap in range(CONV_WIDTH))
    convolved = reduce(add, terms) + array(block.conv_bias)
    return convolved.silu(), past_steps(padded, most, kept)


def _selective_scan(
    x: Value, block: Mamba, state: Value, backwards: bool, kept: Value | None
) -> tuple[Value, Value]:
    """The scan of x (L, P, Q, E), without the gate, and its state (P, Q, N, E)."""
    rank, states = block.step_rank, block.states
    step, B, C = linear(x, block.x_proj).split([rank, states, states])
    dt = linear(step, block.dt_proj).softplus()
    A = x.graph.constant(-np.exp(array(block.A_log)).T)

    def advance(h: Value, dt: Value, dtx: Value, B: Value, C: Value) -> tuple[Value, Value]:
        h = (dt * A).apply("Exp") * h + B * dtx
        return h, C @ h

    row = -2  # where N lies in the state
    sequences = (dt.unsqueeze(row), (dt * x).unsqueeze(row), B.unsqueeze(-1), C.unsqueeze(row))
    state, y = x.graph.scan(advance, state, *sequences, backwards=backwards, kept=kept)
    return y.squeeze(row) + x * array(block.D), state


def lstm(
    x: Value, layer: nn.LSTM, state: LayerState | None = None, kept: Value | None = None
) -> tuple[Value, LayerState]:
    """(L, S, I) -> (L, S, H), or 2 H if it is bidirectional, and the state after the last step, or
    after the first `kept` (1,): (directions, S, H) twice.
    """
    suffixes = ("l0", "l0_reverse") if layer.bidirectional else ("l0",)

    def gathered(kind: str) -> Array:
        parts = [np.split(array(getattr(layer, f"{kind}_{suffix}")), 4) for suffix in suffixes]
        return np.stack([np.concatenate([part[gate] for gate in _GATES]) for part in parts])

    biases = np.concatenate([gathered("bias_ih"), gathered("bias_hh")], axis=-1)
    arrays = (gathered("weight_ih"), gathered("weight_hh"), biases)
    weights = [x.graph.constant(values) for values in arrays]

    def run(x: Value, state: LayerState | None) -> tuple[Value, LayerState]:
        y, hidden, cell = x.graph.nodes(
            "LSTM",
            [x, *weights, None, *(state or ())],
            3,
            hidden_size=layer.hidden_size,
            direction="bidirectional" if layer.bidirectional else "forward",
        )
        outputs = len(suffixes) * layer.hidden_size
        return y.transpose(0, 2, 1, 3).reshape(0, 0, outputs), (hidden, cell)

    if kept is None:
        return run(x, state)
    y, state = run(x.slice(0, kept), state)
    further, _ = run(x.slice(kept), state)  # perhaps of no steps: unlike a scan it may be
    return x.graph.concat(y, further, axis=0), state


def lstm_over_time(
    x: Value, layer: nn.LSTM, state: LayerState, kept: Value | None = None
) -> tuple[Value, LayerState]:
    """In every band: (T, B, K, D) -> (T, B K, H); the state is (B, K, H) twice."""
    size = layer.hidden_size
    hidden, cell = (part.reshape(1, -1, size) for part in state)
    sequences = x.reshape(0, -1, layer.input_size)
    y, (hidden, cell) = lstm(sequences, layer, (hidden, cell), kept)
    shape = (-1, x.lengths(2, 3), size)
    return y, (hidden.reshape(*shape), cell.reshape(*shape))


def lstm_layer(x: Value, layer: LstmLayer, state: LayerState) -> tuple[Value, LayerState]:
    """(T, B, K, D) -> (T, B, K, D); the state is (B, K, H) twice."""
    y, state = lstm_over_time(layer_norm(x, layer.norm), layer.lstm, state)
    return x + linear(y, layer.out_proj).reshape(x.lengths(0, 3), layer.lstm.input_size), state


def band_mixer(x: Value, layer: BandMixer) -> Value:
    """(T, B, K, D) -> (T, B, K, D)."""
    columns = layer_norm(x, layer.norm)
    hidden = _across_bands(layer.expand, columns)
    return x + _across_bands(layer.reduce, _gelu(hidden))


def _across_bands(layer: nn.Linear, x: Value) -> Value:
    """A Linear over the bands: (T, B, K, D) -> (T, B, O, D)."""
    weight = x.graph.constant(array(layer.weight))
    return weight @ x + array(layer.bias[:, None])


def _gelu(x: Value) -> Value:
    """The value times the normal distribution function of it."""
    return x * 0.5 * ((x / math.sqrt(2)).apply("Erf") + 1.0)
