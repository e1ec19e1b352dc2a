"""Kernels round to bfloat16 as torch does."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from mbs_cli.models.kernels.bfloat16 import narrow, widen


@njit
def _narrow_all(values, out):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        out[i] = narrow(values[i], out[i])


@njit
def _widen_all(bits, out):  # type: ignore[no-untyped-def]
    for i in range(bits.shape[0]):
        out[i] = widen(bits[i])


def special_values() -> torch.Tensor:
    """Ties, what rounds up to infinity, denormals, both zeros, both infinities, and others."""
    words = [0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF, 0x7F7F7FFF, 1, 0x00018000]
    words += [0x007FFFFF, 0, 0x7F800000]
    signed = torch.tensor([*words, *(word - 2**31 for word in words)], dtype=torch.int32)
    return torch.cat([signed.view(torch.float32), 1e3 * torch.randn(10_000)])


def test_narrow_rounds_as_torch_does() -> None:
    values = special_values()
    found = torch.empty(len(values), dtype=torch.int16)
    _narrow_all(values.numpy(), found.numpy())
    assert torch.equal(found, values.bfloat16().view(torch.int16))


def test_not_a_number_stays_one() -> None:
    words = torch.tensor([0x7FC00000, 0x7F800001, 0x7FFFFFFF, -1], dtype=torch.int32)
    found = torch.empty(4, dtype=torch.int16)
    _narrow_all(words.view(torch.float32).numpy(), found.numpy())
    assert found.view(torch.bfloat16).isnan().all()


def test_widen_takes_every_bfloat16_as_it_is() -> None:
    bits = torch.arange(-(2**15), 2**15).short()
    found = torch.empty(len(bits))
    _widen_all(bits.numpy(), found.numpy())
    expected = bits.view(torch.bfloat16).float()
    assert torch.equal(found.view(torch.int32), expected.view(torch.int32))


def test_float32_passes_unchanged() -> None:
    values = special_values().numpy()
    found = np.empty_like(values)
    _narrow_all(values, found)
    assert np.array_equal(found.view(np.int32), values.view(np.int32))
    _widen_all(values, found)
    assert np.array_equal(found.view(np.int32), values.view(np.int32))
