"""What the tests of the page compare, with names that try to be markup."""

from __future__ import annotations

from collections.abc import Sequence

from mbs_cli.scoring.comparison import Comparison, Provenance, SystemScores
from mbs_cli.scoring.provenance import provenance
from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Summary
from mbs_cli.scoring.systems import paired_differences

METRICS = ("si_sdr", "lsd")
RATE_HZ = 16_000
CLIP_SAMPLES = 24_000
MAX_FILES = 4  # of the six that are compared
ATTACK = "document.documentElement.dataset.hit=1"
HOSTILE_FILE = f'<img src=x onerror="{ATTACK}">'
HOSTILE_NAME = f"a</script><script>{ATTACK}</script>"
HOSTILE_SYSTEM = f"<b onclick={ATTACK}>new & \"odd\" 'system'</b>"
SILENT_FILE = "fr_hiss_8db"


def summarised(
    name: str, rows: Sequence[PairScore], metrics: Sequence[str], *, is_noisy: bool = False
) -> SystemScores:
    found = {key: [row.values[key] for row in rows if key in row.values] for key in metrics}
    summaries = {key: Summary.of(values) for key, values in found.items()}
    return SystemScores(name, tuple(rows), summaries, is_noisy=is_noisy)


def provenance_of(command: str) -> Provenance:
    return provenance(command, trim=False, align=False)


def compared(systems: Sequence[SystemScores], metrics: Sequence[str]) -> Comparison:
    differences = tuple(paired_differences(systems, metrics))
    made = provenance_of(f"mbs score {HOSTILE_NAME}")
    return Comparison(tuple(metrics), tuple(systems), differences, made)
