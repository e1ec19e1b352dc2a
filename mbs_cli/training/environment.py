"""The process that trains on a CPU: an allocator that keeps what it frees."""

from __future__ import annotations

import os
import platform
import sys

from mbs_cli.python_module import module_command, module_environment

# The C library hands every large block back to the system at once; fetching it again page by
# page makes a step on the CPU two to three times slower. Read only when a process starts.
_KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


def settings_to_keep_memory() -> dict[str, str]:
    """What the environment of such a process lacks; nothing if some is set, or it has no use."""
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _KEEP_FREED_MEMORY):
        return {}
    return _KEEP_FREED_MEMORY


def restart_with_kept_memory(arguments: list[str]) -> None:
    """Start this very command again with the settings, unless they are there or have no use."""
    if settings := settings_to_keep_memory():
        command = module_command("mbs_cli", *arguments)
        os.execve(  # noqa: S606 - this very command, without a shell
            sys.executable, command, module_environment() | settings
        )


def is_first_process() -> bool:
    """Whether this process is the one that shows and saves: the only one, or rank 0 of torchrun."""
    return os.environ.get("RANK", "0") == "0"
