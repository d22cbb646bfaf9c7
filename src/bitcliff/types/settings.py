"""What each command is to measure, and how hard to look: checked, unchangeable, without torch.

A field stands here once: its meaning is the text below it, which is the help of the option that
`bitcliff.cli.options` makes of it, with its default and its checks.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from bitcliff.errors import InputError, PlanError
from bitcliff.types.presets import PRESETS, Format, preset
from bitcliff.types.scheme import MAX_BITS, MIN_BITS, Scheme
from bitcliff.types.value import Value
from bitcliff.types.within import UNIVERSAL, read_within

DEGREES = (1, 2, 3, 4, 5)
IN_FLOAT = "float"
"""The network as it is, where it is compared with what is deployed."""

COST_UNIT = 32
"""Units of a format's cost in a bit."""

Kind = TypeVar("Kind", bound="Settings")


@dataclass(frozen=True)
class Option:
    """How a field stands on the command line, where its name, type and default do not show it.

    Attributes:
        name: the option's, where it is not the field's.
        default: what the help shows of it beside the field's default, or in place of None.
        such_as: for whole numbers that are not bit-widths: a range and a list, as examples.
        commas: whether several are given at once, rather than by the option again.
        absent: why the command line has no such option.
    """

    name: str = ""
    default: str | None = None
    such_as: tuple[str, str] | None = None
    commas: bool = False
    absent: str | None = None


def _parsed(scheme: str) -> str:
    Scheme.parse(scheme)
    return scheme


class Settings(Value, use_attribute_docstrings=True, allow_inf_nan=True):
    """Fields that the command line can set; what will not do is reported in one line by its option.

    Raises:
        InputError: a value is not of its field's type, or out of its range.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _reported_in_one_line(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(values)
        except ValidationError as error:
            raise InputError(_message(cls, error)) from error

    def changed(self: Kind, **changes: Any) -> Kind:
        """The same with other values, which are checked.

        Raises:
            InputError: as when made anew.
        """
        return type(self)(**{**dict(self), **changes})


def option_of(kind: type[Settings], field: str) -> Option:
    """What a field declares of its option; its name is always there."""
    found = (one for one in kind.model_fields[field].metadata if isinstance(one, Option))
    option = next(found, Option())
    return replace(option, name=option.name or field.replace("_", "-"))


def _message(kind: type[Settings], error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if field not in kind.model_fields:
        return f"{kind.__name__}: {field}: {first['msg']}"
    option, given = f"--{option_of(kind, field).name}", first["input"]
    match first["type"]:
        case "greater_than_equal":
            return f"{option} must be {first['ctx']['ge']} or more, not {given}"
        case "literal_error":
            words = first["ctx"]["expected"].replace("'", "")
            return f"{option} {given!r} is not known: use {words}"
    return f"{option} {given!r}: {first['msg']}"


class Selection(Settings):
    """Which of the points seen are to be quantized."""

    points: Literal["inputs", "outputs"] = "inputs"
    """Quantize layers' inputs, or the outputs of activation functions."""
    include: tuple[str, ...] = ()
    """Only points whose name fits this pattern."""
    exclude: tuple[str, ...] = ()
    """Leave out points whose name fits this pattern."""
    include_stem: Annotated[bool | None, Option(default="where the input is no image")] = None
    """Quantize the model's own input too."""
    in_float: Annotated[tuple[str, ...], Option(absent="a plan's")] = ()
    """Exact names of points that a plan keeps in float."""

    def reason_to_leave_out(self, name: str, is_stem: bool) -> str:
        """Why a point is not quantized; empty when it is."""
        if name in self.in_float:
            return "kept in float by the plan"
        if is_stem and not self.include_stem:
            return "stem input: the model's own"
        if self.include and not any(fnmatchcase(name, pattern) for pattern in self.include):
            return "not named by --include"
        if any(fnmatchcase(name, pattern) for pattern in self.exclude):
            return "named by --exclude"
        return ""


class AssessSettings(Selection):
    """All settings of one assessment, and of its record."""

    bits: tuple[int, ...] = tuple(range(3, 11))
    """Widths to choose from."""
    budgets: Annotated[tuple[float, ...], Option("budget", default="built-in model: 7,9")] = (
        4.0,
        5.5,
        7.0,
    )
    """Mean bits a point; several, separated by commas."""
    scheme: str = "onnx"
    """How ranges are taken: paper (min to max), onnx (zero kept in), percentile(P)."""
    uniform: tuple[int, ...] = tuple(range(2, 11))
    """Uniform widths to show."""
    numerics: tuple[str, ...] = ()
    """A shipped format, such as vllm-int8-token or mxfp4-rceil (`bitcliff numerics` lists them), or
    FILE.yaml with your own: what is deployed, and judged. May be given again."""
    options: Annotated[tuple[str, ...], Option(commas=True)] = ()
    """Shipped formats to mix instead of bits, separated by commas: one at each layer, the same for
    all examples. For every --budget, in bits a value with scales counted: mixes at random, the
    worst found and the best."""
    formats: Annotated[dict[str, Format], Option(absent="of --numerics FILE.yaml")] = Field(
        default_factory=dict
    )
    """By name, the formats that are one's own."""
    compared: Annotated[tuple[str, ...], Option(absent="the A and B of `bitcliff diff`")] = ()
    """What is set side by side, none or two: names of numerics or runtimes, or `IN_FLOAT`."""
    weight_bits: Annotated[int | None, BeforeValidator(lambda bits: bits or None)] = 16
    """0: weights in float."""
    per_channel: bool = False
    """One weight scale for each output channel, of each group and each matrix of a stack."""
    fold_batchnorm: bool = False
    """Fold BatchNorm into the layer before it, as runtimes do."""
    # An adversary who flips wrong predictions too would give some back, and the drop would look
    # smaller than it can be made: hence the label where there are labels.
    margin: Literal["auto", "prediction", "label"] = "auto"
    """What the adversary pushes away from; auto: the label where there are labels."""
    # Of a run that is asked for in Python, or whose figures are published, no time is known.
    minutes: Annotated[
        float | None,
        Field(gt=0, le=1e6),
        Option(default="3; built-in model, or where the next four are given: no limit"),
    ] = None
    """Time that an assessment of bits may take: the next four are reduced alike until it fits."""
    draws: int = Field(default=20, ge=1)
    """Draws of each random policy."""
    rounds: int = Field(default=12, ge=0)
    """Rounds of the gradient search."""
    exchanges: int = Field(default=40, ge=0)
    """Exchange moves per example."""
    evaluations: int = Field(default=32, ge=0)
    """Evaluations of the evolutionary search per example."""
    batch_size: Annotated[int | None, Field(ge=1), Option(default="by memory")] = None
    """Examples per forward pass."""
    seed: int = Field(default=0, ge=0)
    """Seed for every random choice."""
    max_drop: float = 2.0
    """Points that may be lost; where it is given, it gates the exit code."""
    score_loss: float = 0.1
    """Where outcomes have scores: count the examples that lose more than this, of 1."""
    floors: Annotated[dict[str, int], Option(absent="a plan's")] = Field(default_factory=dict)
    """By a point's name, the bits that every policy must allocate there at least."""
    randomised: Annotated[bool, Option(absent="a plan's")] = False
    """The runtime draws each example's bits at random, so that nobody picks them: only that is
    measured."""

    @property
    def explores_bits(self) -> bool:
        """Whether widths are allocated; else formats are, or what is deployed is measured alone."""
        return bool(self.budgets) and not self.options

    @property
    def explores_nothing(self) -> bool:
        """Whether what is deployed is measured alone."""
        return not (self.explores_bits or self.options)

    def choice(self, widths: Sequence[int] | None = None) -> str:
        """The widths, or formats, that an allocation may give a layer, in words.

        Args:
            widths: those of a policy that brings its own.
        """
        if self.options:
            return f"{' or '.join(self.mix)} each"
        widths = list(widths or self.bits)
        least, most = widths[0], widths[-1]
        whole = widths == list(range(least, most + 1)) and most > least + 1
        words = f"{least} to {most}" if whole else " or ".join(map(str, widths))
        return f"{words} each, floors kept" if self.floors else f"{words} each"

    @property
    def mix(self) -> dict[str, int]:
        """Of the options, the cheapest first, the cost in 1/32 bit of a value."""
        costs = {name: cost_of(self.format_of(name), name) for name in self.options}
        return dict(sorted(costs.items(), key=lambda pair: pair[1]))

    @field_validator("bits", "uniform", mode="before")
    @classmethod
    def _whole(cls, widths: Any, info: Any) -> Any:
        if isinstance(widths, str) or not isinstance(widths, Iterable):
            return widths
        widths = tuple(widths)
        if not all(type(width) is int for width in widths):
            given = ",".join(map(str, widths))
            raise InputError(
                f"--{info.field_name} must be whole numbers, such as 3:10, not {given}"
            )
        return widths

    @field_validator("bits", "uniform")
    @classmethod
    def _widths(cls, widths: tuple[int, ...], info: Any) -> tuple[int, ...]:
        if widths or info.field_name == "bits":
            _check_widths(f"--{info.field_name}", widths)
        return widths

    @field_validator("scheme")
    @classmethod
    def _known_scheme(cls, scheme: str) -> str:
        return _parsed(scheme)

    @field_validator("weight_bits")
    @classmethod
    def _weight_width(cls, bits: int | None) -> int | None:
        if bits is not None and not MIN_BITS <= bits <= MAX_BITS:
            raise InputError(f"--weight-bits must lie in {MIN_BITS}..{MAX_BITS}, not {bits}")
        return bits

    @field_validator("max_drop")
    @classmethod
    def _is_a_drop(cls, drop: float) -> float:
        if not (math.isfinite(drop) and drop >= 0):
            raise InputError(f"--max-drop must be 0 or more points, not {drop}")
        return drop

    @field_validator("score_loss")
    @classmethod
    def _is_a_share(cls, loss: float) -> float:
        if not 0 <= loss < 1:
            raise InputError(f"--score-loss must be from 0 to below 1, not {loss}")
        return loss

    @model_validator(mode="after")
    def _can_be_met(self) -> "AssessSettings":
        least: float = self.bits[0]
        most: float = self.bits[-1]
        self._check_formats("--numerics", self.numerics)
        self._check_formats("--options", self.options)
        if self.options:
            costs = list(self.mix.values())
            if len(costs) < 2:
                raise InputError(f"--options must be two formats or more, not {self.options[0]}")
            least, most = costs[0] / COST_UNIT, costs[-1] / COST_UNIT
        if len(self.compared) not in (0, 2) or len(set(self.compared)) != len(self.compared):
            raise InputError(f"compared: two that differ, not {', '.join(self.compared)}")
        for mean in self.budgets:
            if not least <= mean <= most:
                what = "--options of" if self.options else "bits"
                raise InputError(
                    f"--budget {mean:g} cannot be met with {what} {least:g}..{most:g}: "
                    f"feasible means are {least:g} to {most:g}"
                )
        # Policies are named by their mean, as `:g` prints it.
        if len({f"{mean:g}" for mean in self.budgets}) != len(self.budgets):
            raise InputError(f"--budget names the same mean twice: {_listed(self.budgets)}")
        for name, floor in self.floors.items():
            if not least <= floor <= most:
                raise PlanError(
                    f"floors: {name} must get {floor} bits or more, but the widths are "
                    f"{least} to {most}"
                )
        return self

    def _check_formats(self, option: str, names: tuple[str, ...]) -> None:
        for name in names:
            self.format_of(name)
            if name in self.formats and name in PRESETS:
                raise InputError(f"{option} {name}.yaml is called as a preset is; rename the file")
            if names.count(name) > 1:
                raise InputError(f"{option} {name} is given twice")
        if names and self.points == "outputs":
            raise InputError(f"{option} rounds layers' inputs: leave out --points outputs")

    def format_of(self, name: str) -> Format:
        """One's own format, or the preset of that name.

        Raises:
            InputError: there is none; the nearest are named.
        """
        return self.formats.get(name) or preset(name, self.asked_for(name))

    def asked_for(self, name: str) -> str:
        """How a format was asked for, as a refusal names it."""
        if name in self.compared:
            return name
        return f"--numerics {name}" if name in self.numerics else f"--options {name}"


class IsolationSettings(Settings):
    """How hard batch-mates are tried."""

    batch: int = Field(default=8, ge=2)
    """Examples in a full batch."""
    draws: int = Field(default=20, ge=1)
    """Random batches for each victim."""
    # Where the data holds more, those that widen the victim's ranges most.
    candidates: int = Field(default=100, ge=1)
    """Companions from the data that are tried for each victim."""
    effort: int = Field(default=100, ge=0)
    """Runs of each crafted attack on each victim."""
    seed: int = Field(default=0, ge=0)
    """Seed for every random choice."""


Company = Literal["data", "worst"]


class ProvokeSettings(Settings):
    """Where and how hard inputs are looked for on which quantization fails."""

    within: tuple[str, ...] = ()
    """A set around each example: linf:8/255, l2:0.5, patch:8, corruption:3, audio:3 or text:2; or
    data:DIR, other data without labels, ranked by what float's pass tells. May be given again. By
    default linf:8/255 and corruption:3 of images, text:2 of texts, audio:3 of sound files; with
    --universal a patch and linf:8/255 of images, prefix:1 of texts."""
    universal: bool = False
    """Look for one trigger for all inputs that turns the quantized network, and not float, to one
    class. The sets are then patch:N, linf:8/255, l2:0.5 or, before texts, prefix:N."""
    target: Annotated[tuple[int, ...], Option(such_as=("0:9", "0,3,5"))] = ()
    """Classes that a universal trigger may turn inputs to, by number; by default all, if there are
    at most 20."""
    delta: Annotated[float | None, Option(default="a tenth of float's median lead")] = None
    """By how much float must be right, in logits, so that no near tie counts."""
    scheme: str = "onnx"
    """How ranges are taken under --policy: paper (min to max), onnx (zero kept in)."""
    company: Company = "data"
    """With whom an input shares bits under --policy margin:...: the data, or the worst for it."""
    effort: int = Field(default=300, ge=8)
    """Forward passes of each search on each example; one backward counts as two."""
    exclude: tuple[str, ...] = ()
    """Leave out points whose name fits this pattern."""
    fold_batchnorm: bool = False
    """Fold BatchNorm into the layer before it, as runtimes do: their weights are rounded so."""
    seed: int = Field(default=0, ge=0)
    """Seed for every random choice."""
    max_provoked: float | None = None
    """Per cent of the examples that may be made to fail; if given, it decides the exit code."""

    @field_validator("scheme")
    @classmethod
    def _known_scheme(cls, scheme: str) -> str:
        return _parsed(scheme)

    @field_validator("max_provoked")
    @classmethod
    def _per_cent(cls, limit: float | None) -> float | None:
        if limit is not None and not 0 <= limit <= 100:
            raise InputError(f"--max-provoked is per cent, from 0 to 100, not {limit:g}")
        return limit

    @field_validator("within")
    @classmethod
    def _known_sets(cls, within: tuple[str, ...]) -> tuple[str, ...]:
        found = [read_within(one) for one in within]
        if len({(one.kind, one.size, one.data) for one in found}) < len(found):
            raise InputError(f"--within {' --within '.join(within)}: the same set twice")
        return within

    @field_validator("target")
    @classmethod
    def _several_classes(cls, target: tuple[int, ...]) -> tuple[int, ...]:
        if target and (len(target) < 2 or min(target) < 0 or len(set(target)) < len(target)):
            raise InputError(
                f"--target {','.join(map(str, target))}: give two classes or more, each once: one "
                "is told by the others"
            )
        return target

    @model_validator(mode="after")
    def _fitting_sets(self) -> "ProvokeSettings":
        for name in self.within:
            kind = read_within(name).kind
            if self.universal and kind not in UNIVERSAL:
                raise InputError(f"--within {name}: no set for all inputs alike; give patch:3")
            if not self.universal and kind == "prefix":
                raise InputError(f"--within {name}: is for --universal")
        if self.target and not self.universal:
            raise InputError("--target has no effect without --universal")
        return self

    @field_validator("delta")
    @classmethod
    def _some_lead(cls, delta: float | None) -> float | None:
        if delta is not None and not (math.isfinite(delta) and delta > 0):
            raise InputError(f"--delta must be above 0, not {delta:g}")
        return delta


class CorruptionSettings(Settings):
    """How much is measured of corruptions."""

    degrees: Annotated[tuple[int, ...], Option(such_as=("1:5", "1,3,5"))] = DEGREES
    """Degrees of the corruptions, 1 to 5."""
    seeds: Annotated[int, Option("corruption-seeds")] = Field(default=3, ge=1)
    """Draws of each for each example."""
    examples: Annotated[int, Option("corruption-examples")] = Field(default=60, ge=1)
    """Examples corrupted, at most."""

    @field_validator("degrees")
    @classmethod
    def _known_degrees(cls, degrees: tuple[int, ...]) -> tuple[int, ...]:
        if not degrees or not set(degrees) <= set(DEGREES):
            raise InputError(
                f"--degrees {_listed(degrees)}: degrees go from 1 to 5, such as 1:5 or 1,3,5"
            )
        if list(degrees) != sorted(set(degrees)):
            raise InputError(
                f"--degrees {_listed(degrees)}: must increase without repeats, such as 1,3,5"
            )
        return degrees


def cost_of(shipped: Format, name: str) -> int:
    """Of a value in a format, in 1/32 bit.

    Raises:
        InputError: it leaves activations in float, or a scale's share is no whole number of these.
    """
    every = {one.bits for one in shipped.of_values}
    if not every:
        raise InputError(f"--options {name}: it rounds weights alone, and values stay in float")
    if len(every) > 1:
        raise InputError(
            f"--options {name}: what a cache holds has other bits than layers' inputs; give the "
            "cache a format of its own, or the same bits"
        )
    bits = every.pop()
    cost = bits * COST_UNIT
    if cost.denominator != 1:
        raise InputError(f"--options {name}: its {bits} bits a value are no whole 32nds")
    return cost.numerator


class LengthSettings(Settings):
    """What texts and sound are padded to."""

    lengths: Annotated[
        tuple[int, ...],
        Option(such_as=("64:66", "64,128,256"), default="the data's own, and twice that"),
    ] = ()
    """Tokens or samples, beside those of the longest example."""

    @field_validator("lengths")
    @classmethod
    def _increasing(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if list(lengths) != sorted(set(lengths)) or any(one < 1 for one in lengths):
            raise InputError(
                f"--lengths {_listed(lengths)}: must increase from 1 without repeats, such as "
                "64,128,256"
            )
        return lengths


def budgets_within(
    bits: tuple[int, ...], means: tuple[float, ...] = AssessSettings().budgets
) -> tuple[float, ...]:
    """Of the default means those that these widths can meet; if none, the middle of the widths."""
    fitting = tuple(mean for mean in means if bits and bits[0] <= mean <= bits[-1])
    return fitting or ((bits[0] + bits[-1]) / 2 if bits else means[0],)


def _check_widths(option: str, widths: tuple[int, ...]) -> None:
    if not widths or list(widths) != sorted(set(widths)):
        raise InputError(
            f"{option} must increase without repeats, such as 3:10, not {_listed(widths)}"
        )
    if widths[0] < MIN_BITS or widths[-1] > MAX_BITS:
        raise InputError(f"{option} must lie in {MIN_BITS}..{MAX_BITS}, not {_listed(widths)}")


def _listed(numbers: Sequence[float | int]) -> str:
    return ",".join(f"{number:g}" for number in numbers) or "none"
