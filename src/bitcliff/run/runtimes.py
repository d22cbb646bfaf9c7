"""The runtimes that a job names, with the network handed to them, and a plan as far as they can."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

from bitcliff.adapters.black_box.subject import onnx_bytes
from bitcliff.adapters.onnx.subject import is_onnx
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.adapters.runtimes.onnx_graph import load_graph, require_exporter
from bitcliff.adapters.runtimes.ort_dynamic import NAME as ORT
from bitcliff.adapters.runtimes.ort_dynamic import quantized_onnx
from bitcliff.errors import InputError
from bitcliff.export import float_onnx
from bitcliff.points import discover
from bitcliff.points.outputs import moved_of
from bitcliff.record.plan import QuantizationPlan
from bitcliff.types.runtime import Runtime
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.settings import Selection
from bitcliff.types.subject import Examples, Subject

_NO_PLAN = Selection()
_STAYS = "stays quantized, since its layer could not be told in this runtime"


def runtimes_of(
    choices: Sequence[RuntimeChoice],
    subject: Subject,
    examples: Examples,
    selection: Selection = _NO_PLAN,
) -> list[Runtime]:
    """Each quantizes the network as its users would; ONNX is written once for all that want it.

    Args:
        selection: its points that a plan keeps in float. A runtime leaves their layers so, or says
            in `Runtime.not_applied` that it does not.

    Raises:
        InputError: no such runtime, named twice, or it cannot take this network; no such point.
    """
    labels = [choice.label for choice in choices]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(
                f"--runtime {label}: named {labels.count(label)} times; once is enough"
            )

    make_onnx = cache(partial(float_file, subject, examples))
    sites = sites_in_float(subject, examples, selection) if choices else {}
    found = []
    for choice in choices:
        runtime = load_runtime(
            choice.name, subject, make_onnx, choice.options, tuple(filter(None, sites.values()))
        )
        told = tuple(f"{name} {_STAYS}" for name, site in sites.items() if site not in runtime.kept)
        found.append(replace(runtime, not_applied=told))
    return found


def keeping(
    choices: Sequence[RuntimeChoice], subject: Subject, examples: Examples, selection: Selection
) -> Callable[[str, tuple[str, ...]], Runtime]:
    """A runtime by its name that leaves these sites in float, beside those of `selection`."""
    make_onnx = cache(partial(float_file, subject, examples))
    named = {choice.label: choice for choice in choices}
    planned = cache(
        lambda: tuple(filter(None, sites_in_float(subject, examples, selection).values()))
    )

    def keep(name: str, sites: tuple[str, ...]) -> Runtime:
        choice = named[name]
        return load_runtime(choice.name, subject, make_onnx, choice.options, (*planned(), *sites))

    return keep


def float_file(subject: Subject, examples: Examples) -> bytes:
    """The float network as ONNX.

    Raises:
        InputError: it cannot be written. MissingExtra: what writes it is not installed.
    """
    if is_onnx(subject.name):  # the user's own file, not what Bitcliff made of it
        return onnx_bytes(subject.name, subject.output, moved_of(subject.module))
    require_exporter("--runtime")
    return float_onnx(subject.module, examples.inputs)


def quantized_file(
    choice: RuntimeChoice, subject: Subject, examples: Examples, selection: Selection
) -> bytes:
    """What `ort-dynamic` runs, as an ONNX file.

    Args:
        selection: as in `runtimes_of`; here all of its points in float must be left so.

    Raises:
        InputError: another runtime; no such point, or one whose layer cannot be told in the file.
    """
    if choice.name != ORT:
        raise InputError(f"--runtime {choice.label}: writes no file of its own; give {ORT}")
    sites = sites_in_float(subject, examples, selection)
    data, kept = quantized_onnx(
        subject, float_file(subject, examples), choice.options, tuple(filter(None, sites.values()))
    )
    for name, site in sites.items():
        if site not in kept:
            raise InputError(f"--runtime {choice.label}: {name} {_STAYS}; leave it out of the plan")
    load_graph(data)
    return data


def sites_in_float(subject: Subject, examples: Examples, selection: Selection) -> dict[str, str]:
    """By name, the site of each point that a plan keeps in float and a runtime would quantize.

    Left out are products of two activations, which runtimes leave in float in any case. The site is
    empty where points are outputs of activation functions: runtimes round inputs of layers.

    Raises:
        InputError: the network has no such point.
    """
    names = selection.in_float
    if not names:
        return {}
    if selection.points == "outputs":
        return dict.fromkeys(names, "")
    seen = discover(subject.module, examples.inputs, selection)
    return {
        point.name: point.site
        for point in seen.seen
        if point.name in names and seen.weights.get(point.site)
    }


def beyond(plan: QuantizationPlan, bits: int) -> Iterator[str]:
    """What a plan asks that no runtime with so many bits for activations can do, in words."""
    for name, floor in plan.floors.items():
        if floor > bits:
            yield f"{name} has {bits} bits, fewer than its floor of {floor}"
    if plan.scheme is not None:
        yield f"ranges are the runtime's own, not those of {plan.scheme}"
    if plan.randomised:
        yield "no bits are drawn at random"
