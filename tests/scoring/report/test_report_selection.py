"""Which files a page carries the sound of."""

from __future__ import annotations

from report_case import compared, summarised

from mbs_cli.scoring.report.selection import files_to_hear
from mbs_cli.scoring.score import PairScore


def comparison_of(metric, *value_lists):
    systems = [
        summarised(
            f"system {place}",
            [PairScore(f"f{i:03}", {} if x is None else {metric: x}) for i, x in enumerate(values)],
            (metric,),
        )
        for place, values in enumerate(value_lists)
    ]
    return compared(systems, (metric,))


def test_the_worst_the_best_and_the_middle_come_first():
    comparison = comparison_of("si_sdr", [0.0] * 9, [5, 1, 9, 3, 7, 2, 8, 4, 6])
    assert files_to_hear(comparison, 3) == ["f001", "f002", "f000"]


def test_where_low_is_good_the_highest_is_the_worst():
    comparison = comparison_of("lsd", [5.0, 1.0, 9.0])
    assert files_to_hear(comparison, 2) == ["f002", "f001"]


def test_there_are_never_more_and_all_if_there_is_room():
    comparison = comparison_of("si_sdr", [float(x) for x in range(30)])
    for count in (0, 1, 7, 30, 99):
        chosen = files_to_hear(comparison, count)
        assert len(chosen) == len(set(chosen)) == min(count, 30)


def test_files_without_a_value_fill_what_is_left():
    comparison = comparison_of("si_sdr", [None, 2.0, None])
    assert files_to_hear(comparison, 2) == ["f001", "f000"]


def test_without_any_value_they_are_spread_evenly():
    comparison = comparison_of("si_sdr", [None] * 100)
    assert files_to_hear(comparison, 4) == ["f000", "f025", "f050", "f075"]
