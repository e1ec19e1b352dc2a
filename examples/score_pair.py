"""Score one file against its clean reference: python examples/score_pair.py CLEAN ESTIMATE."""

import sys
from pathlib import Path

from mbs_cli.scoring.metrics import DEFAULT_METRICS, METRICS
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import score_pair

clean, estimate = map(Path, sys.argv[1:3])
row = score_pair(ScorePair(estimate.name, clean, estimate), DEFAULT_METRICS)

for key, value in row.values.items():
    print(f"{METRICS[key].title:7} {METRICS[key].show(value)} {METRICS[key].unit}".rstrip())
for key, reason in row.reasons.items():  # a metric without a meaning here, never a made-up number
    print(f"{METRICS[key].title:7} n/a: {reason}")
