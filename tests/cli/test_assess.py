from pathlib import Path
from typing import Any

import pytest

from bitcliff.adapters.runtimes import read_runtime
from bitcliff.cli.assess import _check_shared, _default_out, _job, assess
from bitcliff.cli.main import run
from bitcliff.errors import InputError
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice


def job(*arguments: str) -> Any:
    context = assess.make_context("assess", list(arguments))
    return _job(context.params)


def test_without_arguments_it_is_the_built_in_network_on_its_pictures() -> None:
    found = job()
    assert (found.model, found.data) == ("efficientnet-lite0", "imagenet-20")
    assert found.settings.budgets == (7.0, 9.0)
    assert found.settings.bits == tuple(range(3, 11))
    assert found.out == Path("runs/efficientnet-lite0")


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        (["py:a:b", "--data", "digits"], 3.0),
        (["py:a:b", "--data", "digits", "--minutes", "0.5"], 0.5),
        # Counts that were given stand, and figures of built-in models are published.
        (["py:a:b", "--data", "digits", "--rounds", "12"], None),
        (["brittle-digits"], None),
        (["brittle-digits", "--minutes", "2"], 2.0),
        # Nothing is looked for.
        (["py:a:b", "--data", "digits", "--numerics", "vllm-int8-token"], None),
    ],
)
def test_time_decides_how_hard_to_look_unless_counts_are_given(
    given: list[str], minutes: float | None
) -> None:
    assert job(*given).settings.minutes == minutes


def test_every_option_reaches_the_job() -> None:
    found = job(
        *("py:a:b", "--data", "digits", "--weights", "w.pt", "--out", "o", "--bits", "2,4,8"),
        *("--budget", "3,5", "--scheme", "paper", "--uniform", "4:6", "--weight-bits", "8"),
        *("--per-channel", "--points", "outputs", "--include", "a*", "--include", "b"),
        *("--exclude", "c", "--include-stem", "--margin", "label", "--examples", "9"),
        *("--draws", "1", "--rounds", "2", "--exchanges", "3", "--evaluations", "4"),
        *("--batch-size", "5", "--seed", "6", "--max-drop", "7.5", "--num-classes", "10"),
        *("--image-size", "32", "--mean", "0.1", "--std", "0.2,0.3,0.4", "--crop", "0.9"),
        *("--interpolation", "bicubic", "--split", "train", "--output", "logits"),
    )
    settings, model = found.settings, found.model_options
    assert (found.model, found.data, found.weights, found.out) == (
        "py:a:b",
        "digits",
        Path("w.pt"),
        Path("o"),
    )
    assert (settings.bits, settings.budgets, settings.scheme) == ((2, 4, 8), (3.0, 5.0), "paper")
    assert (settings.uniform, settings.weight_bits, settings.per_channel) == ((4, 5, 6), 8, True)
    assert (settings.points, settings.include, settings.exclude) == (
        "outputs",
        ("a*", "b"),
        ("c",),
    )
    assert settings.include_stem
    assert (settings.margin, found.limit, settings.batch_size) == ("label", 9, 5)
    assert (settings.draws, settings.rounds) == (1, 2)
    assert (settings.exchanges, settings.evaluations) == (3, 4)
    assert (settings.seed, settings.max_drop) == (6, 7.5)
    assert (model.num_classes, model.image_size, model.crop) == (10, 32, 0.9)
    assert (model.mean, model.std, model.interpolation) == ((0.1,), (0.2, 0.3, 0.4), "bicubic")
    assert model.output == "logits"
    assert found.data_options.split == "train"


def test_the_defaults_are_those_of_the_settings() -> None:
    from bitcliff.audit import AssessSettings

    assert job("py:a:b", "--data", "digits").settings == AssessSettings(minutes=3.0)


@pytest.mark.parametrize(
    ("arguments", "budgets"),
    [
        (["--bits", "3:8"], (7.0,)),
        (["py:a:b", "--data", "digits", "--bits", "2:4"], (4.0,)),
        (["py:a:b", "--data", "digits", "--bits", "8"], (8.0,)),
    ],
)
def test_narrow_widths_bring_means_that_they_can_meet(arguments: list[str], budgets: Any) -> None:
    assert job(*arguments).settings.budgets == budgets


def test_zero_means_all_examples_and_float_weights() -> None:
    found = job("--examples", "0", "--weight-bits", "0")
    assert (found.limit, found.settings.weight_bits) == (None, None)


def test_a_model_of_the_users_needs_data() -> None:
    with pytest.raises(InputError, match="--data is missing: timm:resnet18 brings no examples"):
        job("timm:resnet18")


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("timm:resnet18", "timm-resnet18"),
        ("py:a.b:c", "py-a.b-c"),
        ("hf:../../etc", "hf-..-..-etc"),
        ("../..", "model"),
        ("", "model"),
        ("a/b\\c d\n", "a-b-c-d"),
    ],
)
def test_the_default_folder_lies_below_runs(model: str, slug: str) -> None:
    assert _default_out(model) == Path("runs") / slug


def test_runtimes_and_the_black_box_reach_the_job() -> None:
    found = job("n.onnx", "--data", "d.npz", "--black-box", "--runtime", "ort-dynamic")
    assert (found.runtimes, found.black_box) == ((read_runtime("ort-dynamic"),), True)
    both = job("base-digits", "--runtime", "torch-dynamic", "--runtime", "openvino")
    assert [one.name for one in both.runtimes] == ["torch-dynamic", "openvino"]
    assert not both.black_box
    told = job("base-digits", "--runtime", "ort-dynamic:weights=uint8").runtimes
    assert told == (RuntimeChoice("ort-dynamic", OrtOptions(weights="uint8")),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base-digits", "--runtime", "ort"), "--runtime ort: not known.*give ort-dynamic, "),
        (("base-digits", "--runtime", "ort-dynamic:int8"), "no option 'int8'; its options are"),
        (("n.onnx", "--black-box", "--budget", "4"), "--budget has no effect with --black-box"),
        (("n.onnx", "--black-box", "--explain"), "--explain has no effect with --black-box"),
    ],
)
def test_what_runtimes_and_black_boxes_do_not_take(
    arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        job(*arguments)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("--workers 0", "0 is not in the range 1<=x<=4096"),
        ("--workers 2 --black-box", "--workers has no effect with --black-box; leave it out"),
        ("--on ray --black-box", "--on has no effect with --black-box"),
        ("--on rays", "--on rays: give ray, ray://HOST:PORT or HOST:PORT"),
        ("--on ray://127.0.0.1:1", "--on ray://127.0.0.1:1: nobody answers there"),
    ],
)
def test_who_cannot_run_the_batches_is_told_in_a_line_before_anything_is_loaded(
    given: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["assess", "py:no.such:model", "--data", "nowhere", *given.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_with_workers_each_process_has_one_thread_unless_more_are_asked_for() -> None:
    for given, threads in (([], None), (["--workers", "2"], 1), (["--on", "ray"], 1)):
        options = assess.make_context("assess", given).params
        _check_shared(options)
        assert options["threads"] == threads
    options = assess.make_context("assess", ["--workers", "2", "--threads", "3"]).params
    _check_shared(options)
    assert options["threads"] == 3
