"""`bitcliff assess`: options to an `AssessJob`, progress and summary to the terminal."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.output import reader_may_leave
from bitcliff.cli.values import Numbers, Widths

if TYPE_CHECKING:
    from bitcliff.adapters import ModelOptions
    from bitcliff.assess import AssessSettings
    from bitcliff.jobs.assess_job import AssessJob
    from bitcliff.records import Record
    from bitcliff.verdict import Verdict

_SCHEME_HELP = "How ranges are taken: paper (min to max), onnx (zero kept in), percentile(P)."


@click.command()
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
    " ort-dynamic, torch-dynamic, torchao-dynamic or openvino.",
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
@click.option(
    "--bits", type=Widths(), default="3:10", show_default=True, help="Widths to choose from."
)
@click.option(
    "--budget",
    type=Numbers(),
    help="Mean bits a point, several by commas.  [default: 4,5.5,7; built-in model: 7,9]",
)
@click.option("--scheme", default="onnx", show_default=True, help=_SCHEME_HELP)
@click.option(
    "--uniform", type=Widths(), default="2:10", show_default=True, help="Uniform widths to show."
)
@click.option("--weight-bits", type=int, default=16, show_default=True, help="0: weights in float.")
@click.option("--per-channel", is_flag=True, help="One weight scale for each output channel.")
@click.option(
    "--points",
    type=click.Choice(["inputs", "outputs"]),
    default="inputs",
    show_default=True,
    help="Quantize layers' inputs, or the outputs of activation functions.",
)
@click.option(
    "--fold-batchnorm",
    is_flag=True,
    help="Fold BatchNorm into the layer before it, as runtimes do.",
)
@click.option("--include", multiple=True, help="Only points whose name fits this pattern.")
@click.option("--exclude", multiple=True, help="Leave out points whose name fits this pattern.")
@click.option("--include-stem", is_flag=True, help="Quantize the picture itself too.")
@click.option(
    "--margin",
    type=click.Choice(["auto", "prediction", "label"]),
    default="auto",
    show_default=True,
    help="What the adversary pushes away from; auto: the label where there are labels.",
)
@click.option("--examples", default=200, show_default=True, help="Examples kept; 0 keeps all.")
@click.option("--draws", default=20, show_default=True, help="Draws of each random policy.")
@click.option("--rounds", default=12, show_default=True, help="Rounds of the gradient search.")
@click.option("--exchanges", default=40, show_default=True, help="Exchange moves an example.")
@click.option(
    "--evaluations", default=32, show_default=True, help="Of the evolutionary search, an example."
)
@click.option("--batch-size", type=int, help="Examples a forward pass.  [default: by memory]")
@click.option("--seed", default=0, show_default=True, help="Of every random choice.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Processor threads.")
@click.option("--max-drop", type=float, help="Points that may be lost: gates the exit code.")
@click.option("--num-classes", type=int, help="Outputs to build the model with.")
@click.option("--image-size", type=int, help="Height and width of the input, pixels.")
@click.option("--mean", type=Numbers(), help="Overrides the model's own preprocessing.")
@click.option("--std", type=Numbers(), help="Overrides the model's own preprocessing.")
@click.option("--crop", type=float, help="Share kept by the centre crop.")
@click.option("--interpolation", help="nearest, bilinear or bicubic.")
@click.option(
    "--split", default="test", show_default=True, help="Part of the data, if it has parts."
)
@click.option("--explain", is_flag=True, help="Go on with `bitcliff explain`.")
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def assess(**options: Any) -> int:
    """Audit MODEL under quantization: uniform, random, worst and friendliest bit-widths.

    MODEL: timm:NAME, torchvision:NAME, hf:DIR, py:package.module:factory, zoo:NAME, FILE.onnx, or a
    built-in that brings its own data: efficientnet-lite0 (the default), base-digits,
    robust-digits and brittle-digits.

    Exit codes: 0 done (with --max-drop: passed), 1 the gate failed, 2 bad input, 3 inconclusive.
    """
    from bitcliff.verdict import EXIT_CODES

    with Display() as display, stdout_set_aside():
        job = _job(options)
        record, verdict = _run(job, display)
        if options["explain"]:
            record = _explain(job.out, display)
    with reader_may_leave():
        if options["as_json"]:
            from bitcliff.records import record_json

            # Bytes: a JSON text is UTF-8 whatever the terminal's encoding.
            click.echo(record_json(record).encode("utf-8", "backslashreplace"), nl=False)
        else:
            _print_summary(record, verdict, job.out)
    if options["max_drop"] is not None:
        return EXIT_CODES[verdict.status]
    # Without a threshold nothing is gated, but what was not covered must not look like a pass.
    return 0 if record.coverage.complete else EXIT_CODES["inconclusive"]


def _run(job: "AssessJob", display: Display) -> "tuple[Record, Verdict]":
    from bitcliff.jobs.assess_job import run_assess

    return run_assess(job, display.listener())


def _explain(run: Path, display: Display) -> "Record":
    from bitcliff.jobs.explain_job import ExplainJob, run_explain

    return run_explain(ExplainJob(run), display.listener())


def _print_summary(record: "Record", verdict: "Verdict", out: Path) -> None:
    from rich.console import Console

    from bitcliff.report import render_summary

    render_summary(record, verdict, Console())
    click.echo(f"Report: {out / 'report.html'}")


def _job(options: dict[str, Any]) -> "AssessJob":
    from bitcliff.adapters.runtimes import check_runtime_name
    from bitcliff.jobs.plan_file import planned, read_plan

    if options["black_box"]:
        _refuse_inside(options)
    for name in options["runtimes"]:
        check_runtime_name(name)
    job = named_job(options)
    plan = read_plan(options["plan"]) if options["plan"] else None
    if plan is not None and plan.budget:
        options = {**options, "budget": options["budget"] or tuple(plan.budget)}
    settings = _settings(options)
    return replace(
        job,
        policy=options["policy"],
        plan=plan,
        runtimes=options["runtimes"],
        black_box=options["black_box"],
        settings=settings if plan is None else planned(settings, plan),
    )


def named_job(options: dict[str, Any], suffix: str = "") -> "AssessJob":
    """The model, the data and the run directory that options name, the rest as by default.

    Args:
        suffix: of the run directory's own name, where the options give none.
    """
    import torch

    from bitcliff.adapters import DataOptions, check_model_name
    from bitcliff.assess.settings import AssessSettings
    from bitcliff.errors import InputError
    from bitcliff.jobs.assess_job import BUILTIN_DATA, AssessJob

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
        settings=AssessSettings(seed=options["seed"]),
        model_options=_model_options(options),
        data_options=DataOptions(split=options["split"]),
    )


def _refuse_inside(options: dict[str, Any]) -> None:
    """What asks for a look inside cannot be had of a black box."""
    from bitcliff.errors import InputError

    for option in ("budget", "explain"):
        if options[option]:
            raise InputError(f"--{option} has no effect with --black-box; leave it out")


def _settings(options: dict[str, Any]) -> "AssessSettings":
    from bitcliff.assess.settings import AssessSettings, SearchEffort
    from bitcliff.points import Selection

    drop = options["max_drop"]
    return AssessSettings(
        bits=options["bits"],
        budgets=options["budget"] or _default_budgets(options),
        scheme=options["scheme"],
        weight_bits=options["weight_bits"] or None,
        per_channel=options["per_channel"],
        fold_batchnorm=options["fold_batchnorm"],
        uniform=options["uniform"],
        selection=Selection(
            where=options["points"],
            include=options["include"],
            exclude=options["exclude"],
            include_stem=options["include_stem"],
        ),
        margin=options["margin"],
        effort=SearchEffort(
            rounds=options["rounds"],
            exchanges=options["exchanges"],
            evaluations=options["evaluations"],
            draws=options["draws"],
        ),
        batch_size=options["batch_size"],
        max_drop=2.0 if drop is None else drop,
        seed=options["seed"],
    )


def _default_budgets(options: dict[str, Any]) -> tuple[float, ...]:
    from bitcliff.assess.settings import DEFAULT_BUDGETS, budgets_within
    from bitcliff.jobs.assess_job import BUILTIN_BUDGETS

    return budgets_within(options["bits"], BUILTIN_BUDGETS.get(options["model"], DEFAULT_BUDGETS))


def _model_options(options: dict[str, Any]) -> "ModelOptions":
    from bitcliff.adapters import ModelOptions

    return ModelOptions(
        num_classes=options["num_classes"],
        image_size=options["image_size"],
        mean=options["mean"],
        std=options["std"],
        crop=options["crop"],
        interpolation=options["interpolation"],
    )


def _default_out(model: str) -> Path:
    slug = "".join(c if c.isalnum() or c in "-._" else "-" for c in model).strip("-.")
    return Path("runs") / (slug or "model")
