"""A command whose options are the fields of a config: from the dataclass to typer's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field
from enum import Enum, StrEnum
from functools import wraps
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer

from mbs_cli.options import Option, nested_configs, options_of

Config = TypeVar("Config")
Command = Callable[..., None]


def with_options_of(config_type: type[Config]) -> Callable[[Command], Command]:
    """Decorates `command(config, ...)`: the config's options come first, then those it declares."""

    def decorate(command: Command) -> Command:
        config_name, *own = inspect.signature(command, eval_str=True).parameters.values()

        @wraps(command)
        def run(**values: Any) -> None:
            own_values = {parameter.name: values[parameter.name] for parameter in own}
            config = _build(config_type, values)
            command(**{config_name.name: config}, **own_values)

        keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        signature = inspect.Signature([*_parameters(config_type), *keyword_only])
        run.__signature__ = signature  # type: ignore[attr-defined] # what typer reads
        return run

    return decorate


def _parameters(config_type: type) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(config_type)
    for entry, declared in options_of(config_type):
        default = inspect.Parameter.empty if entry.default is MISSING else entry.default
        if isinstance(default, tuple):
            default = list(default)
        yield inspect.Parameter(
            _parameter_name(declared),
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[
                _typer_type(hints[entry.name], entry), _typer_info(declared, entry)
            ],
        )
    for entry in nested_configs(config_type):
        yield from _parameters(entry.default_factory)  # type: ignore[arg-type]


def _parameter_name(declared: Option) -> str:
    return declared.flag.removeprefix("--").replace("-", "_")


def _typer_type(hint: Any, entry: Field[Any]) -> Any:
    """What typer understands in place of a literal or a tuple."""
    if get_origin(hint) is Literal:
        return StrEnum(entry.name, {value: value for value in get_args(hint)})
    if get_origin(hint) is tuple:
        return list[get_args(hint)[0]]  # type: ignore[misc]
    assert isinstance(hint, type | UnionType)
    return hint


def _typer_info(declared: Option, entry: Field[Any]) -> Any:
    shown: dict[str, Any] = {"help": declared.help, "show_default": declared.shown_default}
    if declared.metavar is not None:
        shown["metavar"] = declared.metavar
    if declared.is_argument:
        return typer.Argument(**shown)
    return (
        typer.Option(declared.flag, **shown) if entry.default is not True else typer.Option(**shown)
    )


def _build(config_type: type[Config], values: dict[str, Any]) -> Config:
    given = {
        entry.name: _plain(values[_parameter_name(declared)])
        for entry, declared in options_of(config_type)
    }
    for entry in nested_configs(config_type):
        given[entry.name] = _build(entry.default_factory, values)  # type: ignore[arg-type]
    return config_type(**given)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return tuple(value) if isinstance(value, list) else value
