"""How long `mbs --help` takes as a whole process, and which slow modules it imports.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
SLOW_MODULES = ("torch", "numba", "librosa", "scipy", "soundfile", "numpy")
IMPORTED = f"""
import sys
sys.argv = ["mbs", "--help"]
from mbs_cli.app import main
try:
    main()
except SystemExit:
    pass
print([name for name in {SLOW_MODULES} if name in sys.modules], file=sys.stderr)
"""


def seconds_of_help() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mbs_cli", "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    seconds_of_help()  # the first one fills the file cache
    times = [seconds_of_help() for _ in range(ROUNDS)]
    imported = subprocess.run(
        [sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True
    )
    print(f"mbs --help: {statistics.median(times):.3f} s (median of {ROUNDS})")
    print(f"slow modules imported: {imported.stderr.strip()}")


if __name__ == "__main__":
    main()
