"""Options made from settings models: a field's name, type, default and help stand there alone."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

import click

from bitcliff.cli.values import Names, Numbers, Widths

if TYPE_CHECKING:
    from bitcliff.types.settings import Option, Settings

    Given = TypeVar("Given", bound=Settings)


class SettingsCommand(click.Command):
    """A command with further options, made from settings models.

    They are made when first asked for, since the models take longer to import than the help of all
    commands takes to show.

    Args:
        made: gives those options, shown after the command's own.
    """

    def __init__(self, *args: Any, made: Callable[[], Iterable[click.Option]], **more: Any) -> None:
        super().__init__(*args, **more)
        self._made: Callable[[], Iterable[click.Option]] | None = made

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All parameters, as click asks for them whatever it does."""
        if self._made is not None:
            made, self._made = self._made, None
            self.params.extend(made())
        return super().get_params(ctx)


def options_of(kind: "type[Settings]") -> list[click.Option]:
    """One option for each field that has one, in the order of the fields.

    They have no default of their own: what is not given is left to the model.
    """
    from bitcliff.types.settings import option_of

    options = {name: option_of(kind, name) for name in kind.model_fields}
    return [_made(kind, name, option) for name, option in options.items() if option.absent is None]


def settings_from(kind: "type[Given]", options: dict[str, Any], **more: Any) -> "Given":
    """The model with what the options give, and with `more`.

    Raises:
        InputError: what is given will not do.
    """
    from bitcliff.types.settings import option_of

    found = {
        name: options.get(option_of(kind, name).name.replace("-", "_"))
        for name in kind.model_fields
    }
    given = {name: value for name, value in found.items() if value not in (None, ())}
    return kind(**{**given, **more})


def _made(kind: "type[Settings]", name: str, option: "Option") -> click.Option:
    field = kind.model_fields[name]
    default = "; ".join(filter(None, [_shown(field.default), option.default]))
    text = " ".join((field.description or "").split())
    return click.Option(
        [f"--{option.name}"],
        help=f"{text}  [default: {default}]" if default else text,
        metavar=name.upper() if option.such_as else None,
        **_of_type(field.annotation, option),
    )


def _of_type(annotation: Any, option: "Option") -> dict[str, Any]:
    """What click has to be told of a field's type."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    if type(None) in get_args(annotation):
        annotation = kinds[0]
    if get_origin(annotation) is dict or tuple[int, int] in kinds:
        return {"type": str}  # the model itself takes it apart
    if get_origin(annotation) is Literal:
        return {"type": click.Choice(get_args(annotation))}
    if annotation is bool:
        return {"is_flag": True, "default": None}
    if get_origin(annotation) is not tuple:
        return {"type": annotation}
    if get_args(annotation)[0] is str:
        return {"type": Names()} if option.commas else {"multiple": True}
    if get_args(annotation)[0] is float:
        return {"type": Numbers()}
    return {"type": Widths(option.such_as) if option.such_as else Widths()}


def _shown(default: Any) -> str:
    """A default as it would be typed; nothing where that would be not to give the option."""
    if default is None or default is False or default == ():
        return ""
    if not isinstance(default, tuple):
        return f"{default}"
    least, most = default[0], default[-1]
    if isinstance(least, int) and default == tuple(range(least, most + 1)):
        return f"{least}:{most}"
    return ",".join(f"{number:g}" for number in default)
