"""Layers kept in float in ONNX Runtime itself, one at a time and together, and the plan for it."""

import copy
import functools
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError
from bitcliff.questions.context import Context, Side
from bitcliff.questions.deployed import run_plan
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.page import layers_section
from bitcliff.questions.layers.record import Kept, Layers, LayersObserved
from bitcliff.questions.layers.statistics import problems
from bitcliff.questions.mitigations.record import Mitigations
from bitcliff.questions.plan_in_runtime import plan_there
from bitcliff.questions.plan_lines import plan_lines
from bitcliff.questions.runtimes.record import KEY, Runtimes, RuntimesObserved
from bitcliff.record import Record, read_record, with_answer
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.plan_file import read_plan
from bitcliff.run.runtimes import keeping
from bitcliff.run.stored_run import open_stored
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice
from tests.a_record import figures_in, observed_in
from tests.adapters.onnx.networks import export
from tests.questions.page_text import page_of, text_of
from tests.run.test_assess_job import Notes

# Unsigned weights, which no processor saturates.
CHOICE = RuntimeChoice("ort-dynamic", OrtOptions(weights="uint8"))
N, CLASSES, CHANNELS = 60, 5, 16
SEARCH = AssessSettings(budgets=(8.0,), uniform=(8,), rounds=0, exchanges=0, evaluations=0, draws=1)


class Depthwise(nn.Module):
    """A depthwise convolution whose channels differ a thousandfold, undone by the next layer.

    Float does not care. With one scale for all its weights, the small channels are gone, and the
    next layer's values are of unequal scale too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)
        self.pointwise = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.head = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.stem(x).relu()).relu()
        return self.head(self.pointwise(x).relu().mean((2, 3)))  # type: ignore[no-any-return]


@functools.cache
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """The network, and examples with labels."""
    torch.manual_seed(0)
    network, patterns = Depthwise(), torch.randn(CLASSES, 1, 8, 8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(0, CLASSES, (n,))
        return patterns[labels] + 0.5 * torch.randn(n, 1, 8, 8), labels

    for _ in range(150):
        inputs, labels = draw(64)
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    scale = torch.logspace(0, 3.2, CHANNELS)[torch.randperm(CHANNELS)]
    scale /= scale.max()
    with torch.no_grad():
        network.depthwise.weight *= scale[:, None, None, None]
        network.depthwise.bias *= scale  # type: ignore[operator]
        network.pointwise.weight /= scale[None, :, None, None]
    return network.eval().requires_grad_(False), *draw(N)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Assessed in ONNX Runtime, and explained there."""
    folder = tmp_path_factory.mktemp("depthwise")
    network, inputs, labels = trained()
    export(network, folder / "net.onnx", x=inputs[:2])
    np.savez(folder / "data.npz", x=inputs.numpy(), y=labels.numpy())
    job = AssessJob(
        str(folder / "net.onnx"),
        str(folder / "data.npz"),
        folder / "run",
        "bitcliff ...",
        settings=SEARCH,
        runtimes=(CHOICE,),
    )
    run_assess(job, Notes().listener())
    run_explain(ExplainJob(job.out, (CHOICE.label,), ("layers",)), Notes().listener())
    return job.out


@pytest.fixture(scope="module")
def record(run: Path) -> Record:
    return read_record(run, KINDS)


def kept(record: Record) -> Kept:
    (found,) = figures_in(record, "layers", Layers).kept
    return found


def by_the_library(run: Path, nodes: Collection[str]) -> list[int]:
    """What ONNX Runtime predicts with these nodes in float, each example by itself."""
    inputs = trained()[1].numpy()
    with TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{name}.onnx") for name in ("prepared", "done")]
        quant_pre_process(str(run.parent / "net.onnx"), files[0])
        quantize_dynamic(*files, weight_type=QuantType.QUInt8, nodes_to_exclude=[*nodes])
        session = onnxruntime.InferenceSession(files[1], providers=["CPUExecutionProvider"])
        return [int(session.run(None, {"x": one[None]})[0].argmax()) for one in inputs]


def test_each_layer_is_kept_in_float_in_the_runtime_itself(run: Path, record: Record) -> None:
    (found,) = observed_in(record, "layers", LayersObserved).kept
    convolutions = [one.name for one in onnx.load(run.parent / "net.onnx").graph.node
                    if one.op_type == "Conv"]  # fmt: skip
    assert found.policy == CHOICE.label
    assert (len(found.points), found.not_kept) == (4, [])
    expected = {"": [], "1": convolutions[:1], "2": convolutions[1:2], "3": convolutions[2:3]}
    for key, nodes in expected.items():
        assert found.predictions[key].tolist() == by_the_library(run, nodes), key
    assert found.predictions[""].tolist() == record.outcomes[CHOICE.label].prediction.tolist()


def test_the_plan_was_run_in_the_runtime(run: Path, record: Record) -> None:
    figures = kept(record)
    assert figures.all.k < figures.float_rate.k - N // 5
    assert figures.plan is not None
    (best,) = [one for one in figures.sets if one.points == figures.plan.float_points]
    assert best.right.k >= figures.float_rate.k - N // 20
    assert read_plan(run / "plan.yaml").float_points == best.points
    names = [one.name for one in onnx.load(run.parent / "net.onnx").graph.node]
    nodes = [
        name for name in names if any(point in name.replace("/", ".") for point in best.points)
    ]
    right = np.array(by_the_library(run, nodes)) == trained()[2].numpy()
    assert int(right.sum()) == best.right.k
    again = AssessJob(
        str(run.parent / "net.onnx"),
        str(run.parent / "data.npz"),
        run.parent / "again",
        "bitcliff ...",
        settings=SEARCH.changed(in_float=tuple(best.points)),
        runtimes=(CHOICE,),
    )
    confirmed, _ = run_assess(again, Notes().listener())
    accuracy = confirmed.by_name[CHOICE.label].accuracy
    assert accuracy is not None
    assert accuracy.k == best.right.k


def test_the_page_tells_it(record: Record) -> None:
    section = layers_section(record, figures_in(record, "layers", Layers))
    assert "left in float, run there," in section.finding
    text = text_of(page_of(record, section))
    assert "layers left in float in the runtime" in text
    assert "Every layer and set that was tried" in text


Weights = Literal["float", "channel", "tensor"]


def by_hand(weights: Weights, layers: Collection[str] | None = None) -> Tensor:
    """8 bits at these layers' inputs, by default all, zero in the range; their weights in float, or
    8 bits with one scale for each channel or tensor. All else is in float."""
    network, inputs, _ = trained()
    network = copy.deepcopy(network)

    def rounded(_module: nn.Module, args: tuple[Tensor]) -> Tensor:
        rows = args[0].flatten(1)
        low, high = rows.amin(1, keepdim=True).clamp(max=0), rows.amax(1, keepdim=True).clamp(min=0)
        step = (high - low) / 255
        zero = torch.round(-low / step)
        whole = (torch.round(rows / step) + zero).clamp(0, 255)
        return ((whole - zero) * step).view_as(args[0])

    for name, module in network.named_children():
        if layers is not None and name not in layers:
            continue
        module.register_forward_pre_hook(rounded)
        weight = module.get_parameter("weight")
        largest = weight.flatten(1).abs().amax(1).view(-1, *[1] * (weight.ndim - 1))
        step = (largest if weights == "channel" else largest.max()) / 127
        if weights != "float":
            weight.copy_(torch.round(weight / step) * step)
    return network(inputs).argmax(1)  # type: ignore[no-any-return]


def test_what_the_weights_are_to_blame_for_is_told_apart(record: Record) -> None:
    """The last simulation with its weights in float, or with a scale for each of their channels."""
    (seen,) = observed_in(record, KEY, RuntimesObserved).runtimes
    (found,) = figures_in(record, KEY, Runtimes).runtimes
    assert [one.name for one in found.instead] == ["weights-float", "weights-per-channel"]
    with_weights: tuple[Weights, ...] = ("float", "channel")
    for observed, figures, weights in zip(seen.instead, found.instead, with_weights, strict=True):
        same = observed.prediction == by_hand(weights).numpy()
        assert same.mean() > 0.95  # kernels may differ in the last bits
        last = seen.rungs[-1].prediction
        assert figures.changed is not None
        assert figures.changed.k == int((observed.prediction != last).sum()) > 0
    bare = seen.model_copy(update={"rungs": []})
    told = " ".join(KINDS[KEY].problems(record, RuntimesObserved(runtimes=[bare])))
    assert "of a simulation that is not there" in told


@pytest.fixture(scope="module")
def in_simulation(run: Path) -> Record:
    """The same run, explained by a policy with bits: the runtime is simulated, and runs the plans
    found so."""
    copied = run.parent / "simulated"
    shutil.copytree(run, copied)
    asked = ExplainJob(copied, ("uniform-8",), ("layers", "mitigations"))
    run_explain(asked, Notes().listener())
    return read_record(copied, KINDS)


def test_layers_are_simulated_as_the_runtime_rounds_them(in_simulation: Record) -> None:
    """Each layer's weights with its activations: the depthwise one is named."""
    (observed,) = observed_in(in_simulation, "layers", LayersObserved).simulated
    names = [name.partition("/")[2].split(".")[0] or name for name in observed.points]
    layers = ["stem", "depthwise", "pointwise", "head"]
    assert all(layer in name for layer, name in zip(layers, observed.points, strict=True)), names
    cells = {"": [], "2": layers[1:2], "3": layers[2:3], "2-3": layers[1:3], "1,3-4": [
        "stem", "pointwise", "head"
    ], "1-4": layers}  # fmt: skip
    for key, some in cells.items():
        same = observed.predictions[key] == by_hand("tensor", some).numpy()
        assert same.mean() > 0.95, key  # ties may fall otherwise
    (found,) = figures_in(in_simulation, "layers", Layers).simulated
    assert found.none.k == found.float_rate.k
    assert found.inflection == [1, 2]


def test_what_helps_in_simulation_is_for_a_runtime_only_once_it_helps_there(
    run: Path, in_simulation: Record
) -> None:
    layers = figures_in(in_simulation, "layers", Layers)
    (there,) = layers.simulated[0].in_runtimes
    nodes = [one.name for one in onnx.load(run.parent / "net.onnx").graph.node
             if one.op_type == "Conv"][1:]  # fmt: skip
    right = np.array(by_the_library(run, nodes)) == trained()[2].numpy()
    assert there.right is not None
    assert there.without is not None
    assert (there.right.k, there.recommended) == (int(right.sum()), True)
    assert there.without.k == kept(read_record(run, KINDS)).all.k
    page = page_of(in_simulation, layers_section(in_simulation, layers))
    text = text_of(page)
    assert f"8 bits as {CHOICE.label} rounds them, simulated" in text
    assert f"Recommended for {CHOICE.label}." in text
    found = figures_in(in_simulation, "mitigations", Mitigations)
    assert found.plan is not None
    assert [one.points for one in found.in_runtimes] == [found.plan.float_points] * bool(
        found.plan.float_points
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"policy": "no such"}, "a plan was not run in the runtimes of the record"),
        ({"points": ["no such"]}, "is not of the network's points"),
        ({"left_out": "both"}, "was run in 'ort-dynamic:weights=uint8' or left out there, one of"),
        ({"prediction": np.zeros(3, np.int32)}, "has 3 predictions for 60 examples"),
        ({"not_kept": []}, ""),
    ],
)
def test_a_plan_that_contradicts_the_record_is_told(
    in_simulation: Record, change: dict[str, object], told: str
) -> None:
    observed = observed_in(in_simulation, "layers", LayersObserved)
    (one,) = observed.simulated

    def with_run(**changes: object) -> str:
        runs = [one.in_runtimes[0].model_copy(update=changes)]
        wrong = one.model_copy(update={"in_runtimes": runs})
        changed = observed.model_copy(update={"simulated": [wrong]})
        return " ".join(problems(in_simulation, changed))

    assert told in with_run(**change)
    assert bool(with_run(**change)) is bool(told)
    assert "other points in float than the inflection points" in with_run(points=one.points[:1])
    for wrong in ({"policy": "worst-8"}, {"points": one.points[:2] + one.points[:2]}):
        changed = observed.model_copy(update={"simulated": [one.model_copy(update=wrong)]})
        assert "simulated" in " ".join(problems(in_simulation, changed))


def test_a_plan_that_gives_nothing_back_in_the_runtime_is_not_for_it(
    run: Path, record: Record
) -> None:
    stored = open_stored(run, record, Notes().listener(), if_there=(CHOICE.label,))
    assert not stored.not_loaded
    assess, examples = stored.assess, stored.prepared.examples
    keep = keeping(assess.runtimes, stored.subject, examples, assess.settings)
    context = Context(record, (), Side("test", stored.prepared, {}), keep_in_float=keep)
    (found,) = run_plan(context, [record.subject.points[0].name])
    first = next(one.name for one in onnx.load(run.parent / "net.onnx").graph.node)
    assert found.prediction is not None
    assert found.prediction.tolist() == by_the_library(run, [first])
    figures = plan_there(record, found, np.arange(N, dtype=np.int32))
    assert not figures.recommended
    (line,) = plan_lines(record, [figures], "by hand")
    assert "Nothing beyond chance: not recommended" in line


def test_a_runtime_that_is_not_to_be_had_is_said_not_to_have_run_the_plan(
    run: Path, record: Record
) -> None:
    stored = open_stored(run, record, Notes().listener())
    side = Side("test", stored.prepared, {})
    context = Context(record, (), side, not_loaded={CHOICE.label: "it is not installed"})
    (found,) = run_plan(context, [record.subject.points[1].name])
    assert (found.left_out, found.prediction) == ("it is not installed", None)
    figures = plan_there(record, found, np.arange(N, dtype=np.int32))
    assert not figures.recommended
    (line,) = plan_lines(record, [figures], "by hand")
    assert line.startswith(f"Not run in {CHOICE.label}, and so not recommended for it: it is not")
    assert run_plan(context, []) == []


def test_one_half_chooses_and_the_other_judges(record: Record) -> None:
    observed, figures = observed_in(record, "layers", LayersObserved), kept(record)
    half = observed.kept[0].half
    rest = np.setdiff1d(np.arange(N), half)
    assert (len(half), figures.chosen_on) == (N // 2, N // 2)
    assert figures.chosen is not None
    key = ",".join(str(observed.kept[0].points.index(name) + 1) for name in figures.chosen.points)
    found = observed.kept[0].predictions[key.replace("2,3", "2-3")]
    labels = trained()[2].numpy()
    assert figures.chosen.right.n == len(rest)
    assert figures.chosen.right.k == int((found == labels)[rest].sum())
    section = layers_section(record, figures_in(record, "layers", Layers))
    told = text_of(page_of(record, section))
    assert f"{N // 2} examples, drawn by seed, chose the set, and the {N // 2} others judge" in told


def test_what_helps_only_those_that_chose_it_is_not_recommended(record: Record) -> None:
    """The first layer in float saves the half that chooses, and nothing of the other."""
    observed = observed_in(record, "layers", LayersObserved)
    (one,) = observed.kept
    labels = trained()[2].numpy().astype(np.int32)
    found = {key: one.predictions[""].copy() for key in one.predictions if "-" not in key}
    found = {**one.predictions, **found}
    found["1"][one.half] = labels[one.half]
    wrong = one.model_copy(update={"predictions": found})
    there = record_with_layers(record, observed.model_copy(update={"kept": [wrong]}))
    figures = kept(there)
    assert figures.chosen is not None
    assert figures.chosen.points == one.points[:1]
    assert figures.plan is None
    told = layers_section(there, figures_in(there, "layers", Layers)).finding
    assert "on the 30 examples it was chosen on, but on the 30 others it gives back nothing" in told
    older = wrong.model_copy(update={"half": np.zeros(0, np.int32)})
    there = record_with_layers(record, observed.model_copy(update={"kept": [older]}))
    assert kept(there).plan is not None
    assert "which flatters it" in text_of(
        page_of(there, layers_section(there, figures_in(there, "layers", Layers)))
    )


def record_with_layers(record: Record, observed: LayersObserved) -> Record:
    return with_answer(record, "layers", observed, KINDS["layers"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"half": np.zeros(3, np.int32)}, "half is not 30 places of 60 examples, each once"),
        ({"policy": "no such"}, "not of the explained runtimes"),
        ({"points": ["stem", "stem"]}, "not of the network's points"),
        ({"predictions": {}}, "not those of each layer kept by itself"),
        ({"not_kept": ["another"]}, "not those of each layer kept by itself"),
    ],
)
def test_what_contradicts_itself_is_told(
    record: Record, change: dict[str, object], told: str
) -> None:
    observed = observed_in(record, "layers", LayersObserved)
    assert not list(problems(record, observed))
    wrong = observed.model_copy(update={"kept": [observed.kept[0].model_copy(update=change)]})
    assert told in " ".join(problems(record, wrong))
    more = {**observed.kept[0].predictions, "1,4": observed.kept[0].predictions[""]}
    wrong = observed.model_copy(
        update={"kept": [observed.kept[0].model_copy(update={"predictions": more})]}
    )
    assert "do not do most harm" in " ".join(problems(record, wrong))


def test_what_needs_bits_is_still_refused(run: Path) -> None:
    asked = ExplainJob(run, (CHOICE.label,), ("activations",))
    with pytest.raises(InputError, match=r"--only activations: .* shows no bits"):
        run_explain(asked, Notes().listener())
    assert json.loads((run / "record.json").read_text())["figures"]["layers"]["kept"]


def test_a_layer_without_which_nothing_is_quantized_is_said_not_to_stay_in_float(
    tmp_path: Path,
) -> None:
    """The runtime refuses a network of which it quantizes nothing; its one layer is such a one."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 3)).eval()
    x = torch.randn(12, 8)
    export(network, tmp_path / "net.onnx", x=x[:2])
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=network(x).argmax(1).numpy())
    job = AssessJob(
        str(tmp_path / "net.onnx"),
        str(tmp_path / "data.npz"),
        tmp_path / "run",
        "bitcliff ...",
        settings=SEARCH.changed(include_stem=True),
        runtimes=(CHOICE,),
    )
    run_assess(job, Notes().listener())
    record = run_explain(ExplainJob(job.out, (CHOICE.label,), ("layers",)), Notes().listener())
    (found,) = observed_in(record, "layers", LayersObserved).kept
    assert found.not_kept == found.points
    assert list(found.predictions) == [""]
    page = page_of(record, layers_section(record, figures_in(record, "layers", Layers)))
    assert found.points[0] in text_of(page)
