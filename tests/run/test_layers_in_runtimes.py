"""Layers kept in float in ONNX Runtime itself, one at a time and together, and the plan for it."""

import copy
import functools
import json
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

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
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.page import layers_section
from bitcliff.questions.layers.record import Kept, Layers, LayersObserved
from bitcliff.questions.layers.statistics import problems
from bitcliff.questions.runtimes.record import KEY, Runtimes, RuntimesObserved
from bitcliff.record import Record, read_record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.plan_file import read_plan
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice
from tests.a_record import figures_in, observed_in
from tests.adapters.onnx.networks import export
from tests.questions.page_text import page_of, text_of
from tests.run.test_assess_job import Notes

# Unsigned weights, which no processor saturates.
CHOICE = RuntimeChoice("ort-dynamic", OrtOptions(weights="uint8"))
N, CLASSES, CHANNELS = 60, 5, 16
SEARCH = AssessSettings(budgets=(8.0,), uniform=(), rounds=0, exchanges=0, evaluations=0, draws=1)


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


def by_hand(per_channel: bool) -> Tensor:
    """8 bits at every layer's input, zero in the range; weights in float, or 8 bits per channel."""
    network, inputs, _ = trained()
    network = copy.deepcopy(network)

    def rounded(_module: nn.Module, args: tuple[Tensor]) -> Tensor:
        rows = args[0].flatten(1)
        low, high = rows.amin(1, keepdim=True).clamp(max=0), rows.amax(1, keepdim=True).clamp(min=0)
        step = (high - low) / 255
        zero = torch.round(-low / step)
        whole = (torch.round(rows / step) + zero).clamp(0, 255)
        return ((whole - zero) * step).view_as(args[0])

    for module in network.children():
        module.register_forward_pre_hook(rounded)
        if per_channel:
            weight = module.get_parameter("weight")
            step = weight.flatten(1).abs().amax(1).view(-1, *[1] * (weight.ndim - 1)) / 127
            weight.copy_(torch.round(weight / step) * step)
    return network(inputs).argmax(1)  # type: ignore[no-any-return]


def test_what_the_weights_are_to_blame_for_is_told_apart(record: Record) -> None:
    """The last simulation with its weights in float, or with a scale for each of their channels."""
    (seen,) = observed_in(record, KEY, RuntimesObserved).runtimes
    (found,) = figures_in(record, KEY, Runtimes).runtimes
    assert [one.name for one in found.instead] == ["weights-float", "weights-per-channel"]
    for observed, figures, per_channel in zip(
        seen.instead, found.instead, (False, True), strict=True
    ):
        same = observed.prediction == by_hand(per_channel).numpy()
        assert same.mean() > 0.95  # kernels may differ in the last bits
        last = seen.rungs[-1].prediction
        assert figures.changed is not None
        assert figures.changed.k == int((observed.prediction != last).sum()) > 0
    bare = seen.model_copy(update={"rungs": []})
    told = " ".join(KINDS[KEY].problems(record, RuntimesObserved(runtimes=[bare])))
    assert "of a simulation that is not there" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
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
