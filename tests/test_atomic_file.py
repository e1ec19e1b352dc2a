"""What a killed process has begun is removed, and what another one is writing is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mbs_cli import atomic_file
from mbs_cli.atomic_file import remove_abandoned

WRITE = """
import sys
from pathlib import Path
from mbs_cli.atomic_file import atomic_file
with atomic_file(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print(partial, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path):  # type: ignore[no-untyped-def]
    command = [sys.executable, "-c", WRITE, str(tmp_path / "a.txt")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.partial = Path(process.stdout.readline().strip())  # type: ignore[attr-defined]
        yield process
        process.kill()


def test_only_what_a_killed_process_left_is_removed(writer) -> None:  # type: ignore[no-untyped-def]
    remove_abandoned(writer.partial.parent)
    assert writer.partial.exists()
    writer.kill()
    writer.wait()
    remove_abandoned(writer.partial.parent)
    assert not writer.partial.exists()


def test_what_a_process_that_is_not_seen_writes_stays(  # type: ignore[no-untyped-def]
    writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic_file, "_is_alive", lambda _: False)  # as in another container
    remove_abandoned(writer.partial.parent)
    assert writer.partial.exists()
    writer.stdin.close()
    assert writer.wait() == 0
    assert (writer.partial.parent / "a.txt").read_text() == "half"
