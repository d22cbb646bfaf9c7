import re
import subprocess
import sys

import click
import pytest

from bitcliff.cli.assess import assess
from bitcliff.cli.explain import explain
from bitcliff.cli.guard import guard
from bitcliff.cli.isolate import isolate
from bitcliff.cli.main import run
from bitcliff.cli.options import settings_from
from bitcliff.cli.provoke import provoke
from bitcliff.types.guard import GuardSettings
from bitcliff.types.options import DataOptions, ModelOptions
from bitcliff.types.settings import (
    AssessSettings,
    CorruptionSettings,
    IsolationSettings,
    ProvokeSettings,
    Settings,
    option_of,
)

MADE: list[tuple[click.Command, type[Settings]]] = [
    (assess, AssessSettings),
    (assess, ModelOptions),
    (assess, DataOptions),
    (guard, GuardSettings),
    (guard, ModelOptions),
    (guard, DataOptions),
    (provoke, ProvokeSettings),
    (provoke, ModelOptions),
    (provoke, DataOptions),
    (isolate, IsolationSettings),
    (isolate, ModelOptions),
    (isolate, DataOptions),
    (explain, CorruptionSettings),
]
each_model = pytest.mark.parametrize(
    ("command", "kind"), MADE, ids=lambda one: getattr(one, "__name__", None) or one.name
)


def given(command: click.Command, kind: type[Settings], *arguments: str) -> Settings:
    """The settings that a command line comes to."""
    context = command.make_context("x", ["run", *arguments])
    return settings_from(kind, context.params)


def options_named(command: click.Command, flag: str) -> list[click.Option]:
    context = click.Context(command)
    return [
        param
        for param in command.get_params(context)
        if isinstance(param, click.Option) and flag in param.opts
    ]


@each_model
def test_every_field_has_one_option_or_a_reason_why_not(
    command: click.Command, kind: type[Settings]
) -> None:
    for name, field in kind.model_fields.items():
        told = option_of(kind, name)
        assert field.description, name
        found = options_named(command, f"--{told.name}")
        assert len(found) == (told.absent is None), name
        for option in found:
            assert (option.help or "").startswith(" ".join(field.description.split())), name


def test_what_only_a_file_sets_is_no_option() -> None:
    kinds = (AssessSettings, ModelOptions, DataOptions, IsolationSettings, CorruptionSettings)
    reasons = {
        name: option_of(kind, name).absent
        for kind in kinds
        for name in kind.model_fields
        if option_of(kind, name).absent
    }
    assert reasons == {
        "formats": "of --numerics FILE.yaml",
        "compared": "the A and B of `bitcliff diff`",
        "in_float": "a plan's",
        "floors": "a plan's",
        "randomised": "a plan's",
        "initial": "a training file's",
    }


@each_model
def test_what_is_not_given_is_as_the_model_has_it(
    command: click.Command, kind: type[Settings]
) -> None:
    assert given(command, kind) == kind()


@each_model
def test_a_default_in_the_help_can_be_typed(command: click.Command, kind: type[Settings]) -> None:
    shown = 0
    for name, field in kind.model_fields.items():
        for option in options_named(command, f"--{option_of(kind, name).name}"):
            words = re.search(r"\[default: ([^;\]]+)", option.help or "")
            if words is None:
                assert field.default in (None, (), False), name
            elif field.default is not None:
                typed = given(command, kind, option.opts[0], words[1])
                assert getattr(typed, name) == field.default, name
                shown += 1
    assert shown or kind is ModelOptions


# By command: what its models refuse.
REFUSED = {
    "assess": [
        ("--bits 5,4", "--bits must increase without repeats, such as 3:10, not 5,4"),
        ("--bits 1:9", "--bits must lie in 2..16, not 1,2,3,4,5,6,7,8,9"),
        ("--bits 3.5", "'--bits': '3.5': give a range such as 3:10, or a list such as 4,6,8"),
        ("--budget 2.9", "--budget 2.9 cannot be met with bits 3..10: feasible means are 3 to 10"),
        ("--budget 4,4", "--budget names the same mean twice: 4,4"),
        ("--budget nan", "'--budget': 'nan': give numbers separated by commas"),
        ("--scheme pape", "--scheme 'pape' is not known: use paper, onnx or percentile(P)"),
        ("--scheme percentile(40)", "--scheme percentile(40): the percentile must lie in (50, "),
        ("--uniform 8,7", "--uniform must increase without repeats"),
        ("--uniform 17", "--uniform must lie in 2..16, not 17"),
        ("--numerics nvfp5", "--numerics nvfp5 is not known; did you mean nvfp4?"),
        ("--options nvfp4", "--options needs --budget"),
        ("--options nvfp4 --budget 6", "--options must be two formats or more, not nvfp4"),
        ("--options nvfp4,nvfp5 --budget 6", "--options nvfp5 is not known; did you mean nvfp4?"),
        ("--options nvfp4,no.yaml --budget 6", "--options no.yaml: cannot be read"),
        ("--options nvfp4,nvfp4 --budget 6", "--options nvfp4 is given twice"),
        (
            "--options nvfp4,torchao-fp8-row --budget 9",
            "--budget 9 cannot be met with --options of 4.5..8: feasible means are 4.5 to 8",
        ),
        (
            "--options nvfp4,mxfp8-rceil --budget 6 --bits 3:4",
            "--bits has no effect with --options",
        ),
        ("--weight-bits 17", "--weight-bits must lie in 2..16, not 17"),
        ("--weight-bits -1", "--weight-bits must lie in 2..16, not -1"),
        ("--margin truth", "'--margin': 'truth' is not one of"),
        ("--points all", "'--points': 'all' is not one of"),
        ("--minutes 0", "--minutes 0.0: Input should be greater than 0"),
        ("--minutes 1 --rounds 2", "--minutes has no effect with --rounds; leave one of them out"),
        ("--draws 0", "--draws must be 1 or more, not 0"),
        ("--rounds -1", "--rounds must be 0 or more, not -1"),
        ("--exchanges -1", "--exchanges must be 0 or more, not -1"),
        ("--evaluations -1", "--evaluations must be 0 or more, not -1"),
        ("--batch-size 0", "--batch-size must be 1 or more, not 0"),
        ("--seed -1", "--seed must be 0 or more, not -1"),
        ("--max-drop -0.1", "--max-drop must be 0 or more points, not -0.1"),
        ("--max-drop nan", "--max-drop must be 0 or more points, not nan"),
        ("--score-loss 1", "--score-loss must be from 0 to below 1, not 1.0"),
        ("--num-classes 1", "--num-classes 1: must be at least 2"),
        ("--image-size 0", "--image-size 0: must be from 1 to 4096 pixels"),
        ("--mean 0.1,0.2", "--mean: give one number or three, not 2"),
        ("--std 0", "--std: the numbers must be finite and positive"),
        ("--channels cmyk", "'cmyk' is not one of 'rgb', 'bgr', 'grey'"),
        ("--label-map a", "--label-map a: give NAME=OUTPUT,NAME=OUTPUT"),
        ("--crop 1.5", "--crop 1.5: must be above 0 and at most 1"),
        ("--interpolation cubic", "--interpolation cubic: must be one of nearest, bilinear"),
    ],
    "isolate": [
        ("--batch 1", "--batch must be 2 or more, not 1"),
        ("--draws 0", "--draws must be 1 or more, not 0"),
        ("--candidates 0", "--candidates must be 1 or more, not 0"),
        ("--effort -1", "--effort must be 0 or more, not -1"),
        ("--seed -1", "--seed must be 0 or more, not -1"),
    ],
    "provoke": [
        ("--within linf:9", "--within linf:9: must be 1 or less"),
        ("--within prefix:2", "--within prefix:2: is for --universal"),
        ("--universal --within text:2", "--within text:2: no set for all inputs alike"),
        ("--universal --target 3", "--target 3: give two classes or more, each once"),
        ("--universal --target 3,12", "--target 12: the network has classes 0 to 9"),
        ("--target 3,4", "--target has no effect without --universal"),
        ("--universal --examples 20", "and a trigger is searched on one half and judged on the"),
        ("--delta 0", "--delta must be above 0, not 0"),
        ("--effort 7", "--effort must be 8 or more, not 7"),
        ("--seed -1", "--seed must be 0 or more, not -1"),
        ("--max-provoked -1", "--max-provoked is per cent, from 0 to 100, not -1"),
        ("--scheme best", "--scheme 'best' is not known: use paper, onnx or percentile(P)"),
        ("--company bad", "'--company': 'bad' is not one of 'data', 'worst'"),
    ],
    "guard": [
        ("--bits 1", "--bits must lie in 2..16, not 1"),
        ("--alpha 0", "--alpha must lie between 0 and 1, not 0"),
        ("--delta 1", "--delta must lie between 0 and 1, not 1"),
        ("--fit -0.1", "--fit must lie between 0 and 1, not -0.1"),
        ("--calibrate nan", "--calibrate must lie between 0 and 1, not nan"),
        ("--calibrate 0.8", "--fit 0.25 and --calibrate 0.8 leave no examples to report on"),
        ("--against truth", "'--against': 'truth' is not one of"),
        ("--signals some", "'--signals': 'some' is not one of"),
        ("--points all", "'--points': 'all' is not one of"),
        ("--seed -1", "--seed must be 0 or more, not -1"),
    ],
    "explain": [
        ("--degrees 0,1", "--degrees 0,1: degrees go from 1 to 5, such as 1:5 or 1,3,5"),
        ("--degrees 3,1", "--degrees 3,1: must increase without repeats, such as 1,3,5"),
        ("--degrees x", "'--degrees': 'x': give a range such as 1:5, or a list such as 1,3,5"),
        ("--corruption-seeds 0", "--corruption-seeds must be 1 or more, not 0"),
        ("--corruption-examples 0", "--corruption-examples must be 1 or more, not 0"),
    ],
}
# Whatever is given to these can be meant.
ANYTHING = {
    "--include",
    "--exclude",
    "--output",
    "--task",
    "--include-stem",
    "--per-channel",
    "--fold-batchnorm",
}


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [(command, *case) for command, cases in REFUSED.items() for case in cases],
)
def test_what_a_model_refuses_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], command: str, arguments: str, words: str
) -> None:
    model = "base-digits" if command != "explain" else "no-run"
    assert run([command, model, *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *stages, told = err.strip().splitlines()
    assert words in told
    # Only what hangs on the network or the data is refused after these were loaded.
    assert not stages or (stages[0] == "Loading base-digits" and "error" not in " ".join(stages))


def test_every_option_is_refused_something() -> None:
    tried = {
        command: {arguments.split()[0] for arguments, _ in cases}
        for command, cases in REFUSED.items()
    }
    for command, kind in MADE:
        flags = {
            f"--{option_of(kind, name).name}"
            for name in kind.model_fields
            if option_of(kind, name).absent is None
        }
        # The same options of the model and the data are in two commands.
        seen = tried["assess"] if kind is ModelOptions else tried[command.name or ""]
        assert kind is DataOptions or flags - ANYTHING <= seen


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [(["--help"], ["pydantic.main", "torch"]), (["assess", "--help"], ["torch", "numpy"])],
)
def test_help_does_not_wait_for_what_it_does_not_need(
    arguments: list[str], unneeded: list[str]
) -> None:
    code = (
        f"import sys; from bitcliff.cli.main import run; run({arguments!r}); "
        f"print([name for name in {unneeded!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Options:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
