"""Fields of a config that are options of a command, declared once: type, default, flag and help."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

from mbs_cli.errors import UsageError

Choice = TypeVar("Choice", bound=StrEnum)

_KEY = "option"  # in the metadata of a field


@dataclass(frozen=True)
class Option:
    """How a field is given on the command line."""

    help: str
    flag: str  # "" in a declaration: from the name of the field
    metavar: str | None = None
    shown_default: str | bool = True  # a text in place of the value, or False for none
    is_argument: bool = False  # given by its place, without a flag


def option(
    help_text: str,
    *,
    default: Any = MISSING,
    flag: str = "",
    metavar: str | None = None,
    shown_default: str | bool = True,
    is_argument: bool = False,
) -> Any:
    """A field of a dataclass that is an option as well; one without a default must be given."""
    declared = Option(help_text, flag, metavar, shown_default, is_argument)
    return field(default=default, metadata={_KEY: declared})


def choice(kind: type[Choice], value: str, flag: str) -> Choice:
    """The member of `kind` that a text names. Raises UsageError if there is none."""
    try:
        return kind(value)
    except ValueError as error:
        names = ", ".join(member.value for member in kind)
        raise UsageError(f"{flag} {value}: not known", f"choose one of {names}") from error


def options_of(config: Any) -> Iterator[tuple[Field[Any], Option]]:
    """The fields of a dataclass (or an instance) that are options, in their order."""
    for entry in fields(config):
        if _KEY in entry.metadata:
            declared: Option = entry.metadata[_KEY]
            flag = declared.flag or "--" + entry.name.replace("_", "-")
            yield entry, Option(**{**vars(declared), "flag": flag})


def nested_configs(config: Any) -> Iterator[Field[Any]]:
    """The fields of a dataclass that hold another one with options of its own."""
    for entry in fields(config):
        made_by = entry.default_factory
        if isinstance(made_by, type) and is_dataclass(made_by) and any(options_of(made_by)):
            yield entry


def flags_of(config: Any) -> dict[str, str]:
    """The flag of every option by the name of its field, such as `loss.complex` of a nested one."""
    flags = {entry.name: declared.flag for entry, declared in options_of(config)}
    for entry in nested_configs(config):
        inner = flags_of(entry.default_factory)
        flags |= {f"{entry.name}.{name}": flag for name, flag in inner.items()}
    return flags


def command_line(command: str, config: Any) -> str:
    """The command that gives this config: arguments, and the options that differ from defaults."""
    return shlex.join([*command.split(), *_arguments(config)])


def _arguments(config: Any) -> Iterator[str]:
    for entry, declared in options_of(config):
        value = getattr(config, entry.name)
        if declared.is_argument:
            yield str(value)
        elif entry.default is MISSING or value != entry.default:
            yield from _spelled(declared.flag, value)
    for entry in nested_configs(config):
        yield from _arguments(getattr(config, entry.name))


def _spelled(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [text for item in value for text in (flag, str(item))]
    return [flag, str(value)]
