"""Commands that start at once: options that need no conversion aren't sent through pydantic.

typer checks every value with pydantic, even the default of an option that wasn't given, and importing pydantic takes a
third as long as all of `runs tail`. Here a value that is as it should be already is taken as it is; any other goes
typer's way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["QuickCommand", "QuickGroup"]


def _hastened(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if "process_value" not in vars(parameter):
            parameter.process_value = _taken(parameter, parameter.process_value)
    return parameters


def _taken(parameter: Any, convert: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A parameter's `process_value` that converts only what needs it."""

    def process_value(context: Any, value: Any) -> Any:
        single = parameter.nargs == 1 and not parameter.multiple
        if not single or not (_is_default(parameter, value) or _is_text(parameter, value)):
            return convert(context, value)
        return value if parameter.callback is None else parameter.callback(context, parameter, value)

    return process_value


def _is_default(parameter: Any, value: Any) -> bool:
    return not parameter.required and (value is None or value is parameter.default)


def _is_text(parameter: Any, value: Any) -> bool:
    declared = getattr(parameter, "type_descriptor", None)
    return isinstance(value, str) and getattr(declared, "annotation", None) is str


class QuickCommand(TyperCommand):
    """A command that starts at once, and whose epilog is examples, one a line."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _hastened(super().get_params(ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        lines = (self.epilog or "").splitlines()
        if lines:
            with formatter.section("Examples"):
                for line in lines:
                    formatter.write(f"  {line}\n")


class QuickGroup(TyperGroup):
    """A group of commands that starts at once, and whose help says of each a whole sentence."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _hastened(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        # typer cuts what doesn't fit a line; here it goes on in the next.
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        told = [
            (name, command.get_short_help_str(limit=1000))
            for name, command in commands
            if command and not command.hidden
        ]
        if told:
            with formatter.section("Commands"):
                formatter.write_dl(told)
