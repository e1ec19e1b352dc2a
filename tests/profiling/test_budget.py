"""The search for the largest batch: right, and with few measurements."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mbs_cli.errors import UsageError
from mbs_cli.profiling.budget import largest_batch
from mbs_cli.profiling.byte_size import parse_bytes, show_bytes
from mbs_cli.profiling.results import LargestBatch

MEMORY_BYTES = 10_000  # beyond this a step does not fit at all


def steps_measured(peak_of: Callable[[int], int], budget: int) -> tuple[LargestBatch, list[int]]:
    sizes: list[int] = []

    def peak_at(size: int) -> int | None:
        sizes.append(size)
        peak = peak_of(size)
        return peak if peak <= MEMORY_BYTES else None

    return largest_batch(peak_at, budget), sizes


@pytest.mark.parametrize("budget", [150, 151, 300, 999, 4000, 9_999])
@pytest.mark.parametrize(
    "peak_of",
    [
        lambda size: 100 + 50 * size,
        lambda size: 70 * size,
        lambda size: 100 + 50 * size + (size * 37) % 11,
        lambda size: 90 + 40 * size + size**2,
        lambda size: 100 + 60 * size - (20 if size > 3 else 0),
        lambda size: 100 + 9 * size - 2 * (size % 5),
    ],
)
def test_the_last_that_fits_and_the_first_that_does_not_are_measured(
    peak_of: Callable[[int], int], budget: int
) -> None:
    found, sizes = steps_measured(peak_of, budget)
    assert found.batch_size in sizes or found.batch_size == 0
    assert found.batch_size + 1 in sizes
    assert found.batch_size == 0 or peak_of(found.batch_size) <= budget
    assert peak_of(found.batch_size + 1) > budget
    assert len(sizes) == len(set(sizes)) <= 14


def test_a_straight_line_takes_four_measurements() -> None:
    found, sizes = steps_measured(lambda size: 100 + 50 * size, 4000)
    assert found == LargestBatch(78, 4000, 4050)
    assert len(sizes) == 4


def test_a_budget_beyond_the_memory_ends_where_the_memory_does() -> None:
    found, sizes = steps_measured(lambda size: 100 * size, 20_000)
    assert found == LargestBatch(100, 10_000, None)
    assert len(sizes) <= 12


def test_too_small_for_one() -> None:
    assert steps_measured(lambda size: 100 * size, 99)[0] == LargestBatch(0, None, 100)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("4GB", 4 * 10**9), ("4gb", 4 * 10**9), ("4G", 4 * 10**9), ("3.5GiB", 3_758_096_384)),
        *(("800MB", 800 * 10**6), ("1 MiB", 2**20), ("123", 123)),
    ],
)
def test_memory_as_text(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "4 apples", "1e99GB", "nan", "9999999TB"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected an amount such as 4GB"):
        parse_bytes(text)


def test_memory_is_shown_in_units_that_fit() -> None:
    assert (show_bytes(2_512_000_000), show_bytes(512_400_000)) == ("2.51 GB", "512 MB")
