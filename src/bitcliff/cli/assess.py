"""`bitcliff assess`: options to an `AssessJob`, progress and summary to the terminal."""

import shlex
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import print_json, reader_may_leave

# What has no effect on a black box, and where only shipped formats are asked for.
_COUNTS = ("draws", "rounds", "exchanges", "evaluations")
_NEED_A_LOOK = ("budget", "numerics", "options", "explain", "minutes")
_NEED_BITS = ("bits", "uniform", "policy", "explain", "minutes", *_COUNTS)
# Minutes that an assessment may take, where nothing else is said.
_MINUTES = 3.0

if TYPE_CHECKING:
    from bitcliff.record import Record
    from bitcliff.run.assess_job import AssessJob
    from bitcliff.run.shared_out import Workers
    from bitcliff.types.presets import Format
    from bitcliff.verdict import Verdict


def _settings_options() -> list[click.Option]:
    from bitcliff.types.settings import AssessSettings, Selection

    asked = options_of(AssessSettings)
    # Which points comes after how they are quantized.
    asked.sort(key=lambda option: option.name in Selection.model_fields)
    return [*asked, *subject_options()]


def subject_options() -> list[click.Option]:
    """Options about the model and its data."""
    from bitcliff.types.options import DataOptions, ModelOptions

    return [*options_of(ModelOptions), *options_of(DataOptions)]


@click.command(
    short_help="Audit MODEL under quantization, and judge it.",
    cls=SettingsCommand,
    made=_settings_options,
)
@click.argument("model", default="efficientnet-lite0")
@click.option("--data", help="Folder, .npz, .csv, hf:DIR, oxford-iiit-pet:DIR or a built-in.")
@click.option("--weights", type=click.Path(path_type=Path), help="FILE.safetensors or .pt.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="A policy trained with these weights, to measure too: policy.safetensors.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="What to keep in float, floors and scheme, as `bitcliff explain` writes it: plan.yaml.",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    help="Measure what this runtime's own int8 dynamic quantization does, too; may be given again:"
    " ort-dynamic, torch-dynamic, torchao-dynamic or openvino. As its library has it by default;"
    " ort-dynamic also with options, as in ort-dynamic:weights=uint8,per_channel,reduce_range,"
    "operators=MatMul+Gather,default_tensor_type=float. file:INT8.onnx judges a file that is"
    " quantized already, as it ships.",
)
@click.option(
    "--black-box",
    is_flag=True,
    help="MODEL is a FILE.onnx that is not looked into: answers alone, in float and by a runtime.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory; an earlier run in it is replaced.",
)
@click.option("--examples", default=200, show_default=True, help="Examples kept; 0 keeps all.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Processor threads.")
@click.option(
    "--workers",
    type=click.IntRange(1, 4096),
    help="Share the batches out among this many processes, with --threads each (1 by default); the "
    "record is the same to the bit.",
)
@click.option(
    "--on",
    "cluster",
    help="Run the workers on a Ray cluster: ray (on this machine), ray://HOST:PORT or HOST:PORT.",
)
@click.option("--explain", is_flag=True, help="Go on with `bitcliff explain`.")
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def assess(**options: Any) -> int:
    """Audit MODEL under quantization: uniform, random, worst and best allocations of bits.

    MODEL: timm:NAME, torchvision:NAME, hf:DIR, py:package.module:factory, zoo:NAME, FILE.onnx, or a
    built-in that brings its own data: efficientnet-lite0 (the default), base-digits,
    robust-digits and brittle-digits.

    Exit codes: 0 done (with --max-drop: passed), 1 the gate failed, 2 bad input, 3 inconclusive.
    """
    with Display() as display, stdout_set_aside():
        from bitcliff.run.assess_job import run_assess
        from bitcliff.run.plan_file import of_plan

        with of_plan(options["plan"]):
            _check_shared(options)
            job = _job(options)
            with _workers(options) as workers:
                record, verdict = run_assess(job, display.listener(), workers)
        if options["explain"]:
            record = _explain(job.out, display)
    with reader_may_leave():
        if options["as_json"]:
            print_record(record)
        else:
            _print_summary(record, verdict, job.out)
    return exit_code(options, record, verdict)


def exit_code(options: dict[str, Any], record: "Record", verdict: "Verdict") -> int:
    """Of a run that ended."""
    from bitcliff.verdict import EXIT_CODES

    if options["max_drop"] is not None:
        return EXIT_CODES[verdict.status]
    # Without a threshold nothing is gated, but what was not covered must not look like a pass.
    return 0 if record.coverage.complete else EXIT_CODES["inconclusive"]


def _check_shared(options: dict[str, Any]) -> None:
    """Before anything is loaded: one thread each, unless more were asked for."""
    count, address = options["workers"], options["cluster"]
    if count is None and address is None:
        return
    if options["black_box"]:
        from bitcliff.errors import InputError

        given = "--workers" if address is None else "--on"
        raise InputError(f"{given} has no effect with --black-box; leave it out")
    options["threads"] = options["threads"] or 1


def _workers(options: dict[str, Any]) -> "AbstractContextManager[Workers]":
    """Who runs the batches; a cluster is connected as long as the context lasts."""
    from bitcliff.run.shared_out import here

    count, address = options["workers"], options["cluster"]
    if count is None and address is None:
        return nullcontext(here)
    from bitcliff.sweep.shards.open import on_processes, on_ray

    return nullcontext(on_processes(count)) if address is None else on_ray(address, count)


def _explain(run: Path, display: Display) -> "Record":
    from bitcliff.run.explain_job import ExplainJob, run_explain

    return run_explain(ExplainJob(run), display.listener())


def print_record(record: "Record") -> None:
    """As JSON on stdout."""
    from bitcliff.record import record_json

    print_json(record_json(record))


def _print_summary(record: "Record", verdict: "Verdict", out: Path) -> None:
    from rich.console import Console

    from bitcliff.questions.least_widths.page import least_widths_line
    from bitcliff.questions.runtimes.page import runtimes_lines
    from bitcliff.report import render_summary

    render_summary(record, verdict, Console())
    for line in filter(None, [least_widths_line(record), *runtimes_lines(record)]):
        click.echo(line)
    click.echo(f"Report: {out / 'report.html'}")


def _job(options: dict[str, Any]) -> "AssessJob":
    from bitcliff.adapters.runtimes import read_runtime
    from bitcliff.run.plan_file import planned, read_plan
    from bitcliff.types.settings import AssessSettings

    if options["black_box"]:
        _refuse_idle(options, _NEED_A_LOOK, "with --black-box; leave it out")
    runtimes = tuple(map(read_runtime, options["runtimes"]))
    job = named_job(options)
    plan = read_plan(options["plan"]) if options["plan"] else None
    planned_budgets = tuple(plan.budget) if plan is not None else ()
    budgets = options["budget"] or planned_budgets
    if options["options"]:
        _check_mix(options)
    elif not (budgets or options["numerics"] or runtimes):
        budgets = _default_budgets(options)
    if not budgets:
        _refuse_idle(
            options,
            _NEED_BITS,
            "where formats or runtimes alone are measured; leave it out, or give --budget too",
        )
    minutes = _minutes(options, looks=bool(budgets))
    names, formats = formats_of("--numerics", options["numerics"])
    mixed, more = formats_of("--options", options["options"] or ())
    options = {**options, "options": mixed}
    settings = settings_from(
        AssessSettings,
        options,
        budgets=budgets,
        numerics=names,
        formats=formats | more,
        minutes=minutes,
    )
    return replace(
        job,
        policy=options["policy"],
        plan=plan,
        runtimes=runtimes,
        black_box=options["black_box"],
        settings=settings if plan is None else planned(settings, plan),
    )


def named_job(options: dict[str, Any], suffix: str = "") -> "AssessJob":
    """The model, the data and the run directory that options name, the rest as by default.

    Args:
        suffix: of the run directory's own name, where the options give none.
    """
    import torch

    from bitcliff.adapters import check_model_name
    from bitcliff.errors import InputError
    from bitcliff.run.assess_job import BUILTIN_DATA, AssessJob
    from bitcliff.types.options import DataOptions, ModelOptions
    from bitcliff.types.settings import AssessSettings

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    model = options["model"]
    data = options["data"] or BUILTIN_DATA.get(model)
    if data is None:
        check_model_name(model)
        raise InputError(f"--data is missing: {model} brings no examples of its own")
    if options["examples"] < 0:
        raise InputError(f"--examples must be 0 or more, not {options['examples']}")
    return AssessJob(
        model=model,
        data=data,
        out=options["out"] or _default_out(model + suffix),
        command=shlex.join(["bitcliff", *sys.argv[1:]]),
        weights=options["weights"],
        limit=options["examples"] or None,
        settings=settings_from(AssessSettings, {"seed": options["seed"]}),
        model_options=settings_from(ModelOptions, options),
        data_options=settings_from(DataOptions, options),
    )


def formats_of(option: str, given: Iterable[str]) -> "tuple[tuple[str, ...], dict[str, Format]]":
    """Names of what an option gives, and by name the formats of one's own among them."""
    from bitcliff.run.yaml_file import read_yaml
    from bitcliff.types.presets import Format

    files = {one: Path(one) for one in given if one.endswith((".yaml", ".yml"))}
    names = tuple(files[one].stem if one in files else one for one in given)
    return names, {file.stem: read_yaml(file, Format, f"{option} ") for file in files.values()}


def format_of(option: str, given: str) -> "tuple[str, Format]":
    """The one format that an option names, and its name."""
    from bitcliff.types.presets import preset

    (name,), own = formats_of(option, [given])
    return name, own.get(name) or preset(name, f"{option} {name}")


def _refuse_idle(options: dict[str, Any], names: Iterable[str], why: str) -> None:
    """An option without effect would let the user believe that it had one."""
    from bitcliff.errors import InputError

    for name in names:
        if options[name]:
            raise InputError(f"--{name} has no effect {why}")


def _check_mix(options: dict[str, Any]) -> None:
    from bitcliff.errors import InputError

    idle = ("bits", "uniform", "policy", "plan", "explain", "evaluations", "minutes")
    _refuse_idle(options, idle, "with --options, which mixes formats and not bits; leave it out")
    if not options["budget"]:
        raise InputError("--options needs --budget: the mean bits of a value, such as 6")


def _minutes(options: dict[str, Any], looks: bool) -> float | None:
    """How long it may take; None: the counts say how hard to look.

    Args:
        looks: whether bits are looked for, or formats mixed, at all.
    """
    from bitcliff.run.assess_job import BUILTIN_BUDGETS

    counts = [name for name in _COUNTS if options[name] is not None]
    if counts:
        _refuse_idle(options, ["minutes"], f"with --{counts[0]}; leave one of them out")
    elif options["minutes"] is not None:
        return float(options["minutes"])
    # The figures of built-in models are published, and must be those of every machine.
    untimed = counts or options["options"] or options["black_box"] or not looks
    return None if untimed or options["model"] in BUILTIN_BUDGETS else _MINUTES


def _default_budgets(options: dict[str, Any]) -> tuple[float, ...]:
    from bitcliff.run.assess_job import BUILTIN_BUDGETS
    from bitcliff.types.settings import AssessSettings, budgets_within

    usual = AssessSettings()
    means = BUILTIN_BUDGETS.get(options["model"], usual.budgets)
    return budgets_within(options["bits"] or usual.bits, means)


def _default_out(model: str) -> Path:
    slug = "".join(c if c.isalnum() or c in "-._" else "-" for c in model).strip("-.")
    return Path("runs") / (slug or "model")
