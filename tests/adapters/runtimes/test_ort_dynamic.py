"""ONNX Runtime's own dynamic quantization, against the library called by hand."""

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.datasets import load_digits
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.runtimes import load_runtime, read_runtime
from bitcliff.errors import InputError
from bitcliff.export import float_onnx
from bitcliff.points import discover
from bitcliff.points.attach import Attachment, rounding_to
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import Selection
from bitcliff.types.subject import Subject

TOKENS = torch.arange(28).reshape(4, 7)


class Mixed(nn.Module):
    """Of all kinds: a table, attention, products, a convolution, an LSTM, a layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(50, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.wide = nn.Linear(16, 24)
        self.conv = nn.Conv1d(24, 8, 3)
        self.norm = nn.BatchNorm1d(8)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens)
        x = self.wide(x + self.attention(x, x, x, need_weights=False)[0])
        x = self.norm(self.conv(x.transpose(1, 2))).relu().transpose(1, 2)
        x, _ = self.lstm(x)
        return self.head(x[:, -1]) + self.head(x[:, 0])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def mixed() -> tuple[Subject, bytes]:
    subject = make_subject("mixed", Mixed().eval(), None, None)
    return subject, float_onnx(subject.module, TOKENS)


@pytest.fixture(scope="module")
def prepared(mixed: tuple[Subject, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as the library's users prepare it."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "given.onnx").write_bytes(mixed[1])
    quant_pre_process(str(folder / "given.onnx"), str(folder / "prepared.onnx"))
    return folder / "prepared.onnx"


def by_hand(prepared: Path, x: Tensor, **told: Any) -> tuple[Tensor, Counter[str]]:
    """What the library makes of it, and of which operators."""
    done = prepared.with_name("done.onnx")
    quantize_dynamic(prepared, done, **told)
    options = onnxruntime.SessionOptions()
    # Its LSTM takes a scale for each thread's share of the batch.
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(done), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.as_tensor(found), Counter(n.op_type for n in onnx.load(done).graph.node)


def loaded(text: str, given: tuple[Subject, bytes], in_float: tuple[str, ...] = ()) -> Runtime:
    choice = read_runtime(text)
    runtime = load_runtime(choice.name, given[0], lambda: given[1], choice.options, in_float)
    assert runtime.name == text
    assert runtime.options == choice.options
    return runtime


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ort-dynamic", {}),
        ("ort-dynamic:weights=uint8", {"weight_type": QuantType.QUInt8}),
        (
            "ort-dynamic:per_channel,reduce_range,default_tensor_type=float",
            {"per_channel": True, "reduce_range": True},
        ),
        ("ort-dynamic:operators=MatMul+LSTM", {"op_types_to_quantize": ["MatMul", "LSTM"]}),
    ],
)
def test_it_is_the_library_told_the_same(
    mixed: tuple[Subject, bytes], prepared: Path, text: str, told: dict[str, Any]
) -> None:
    runtime = loaded(text, mixed)
    expected, operators = by_hand(prepared, TOKENS, **told)
    assert torch.equal(runtime.run(TOKENS), expected)
    assert runtime.quantized.get("MatMul", 0) == operators["MatMulInteger"] == 5
    assert runtime.quantized.get("Conv", 0) == operators["ConvInteger"]
    assert runtime.quantized.get("LSTM", 0) == operators["DynamicQuantizeLSTM"] == 1
    assert "reduced range of 7 bits" in runtime.description or runtime.weight_bits == 8


def test_every_operator_is_listed_as_integer_or_as_float(mixed: tuple[Subject, bytes]) -> None:
    runtime = loaded("ort-dynamic", mixed)
    assert runtime.quantized == {"Conv": 1, "MatMul": 5, "LSTM": 1, "Gather": 1}
    # Attention's two products of activations, biases, and what has no integer form.
    assert runtime.in_float["MatMul"] == 2
    assert {"Add", "Relu", "Softmax"} < runtime.in_float.keys()
    assert "as it is by default" in runtime.description
    some = loaded("ort-dynamic:operators=LSTM", mixed)
    assert some.quantized == {"LSTM": 1}
    assert list(some.in_float)[:3] == ["Conv", "MatMul", "Gather"]
    assert (some.in_float["MatMul"], some.in_float["Gather"]) == (7, 1)


def test_a_product_of_a_recurrent_layer_stays_in_float_with_the_layer(
    mixed: tuple[Subject, bytes],
) -> None:
    runtime = loaded("ort-dynamic", mixed, ("lstm.hh_l0@2",))
    assert runtime.kept == {"lstm.hh_l0@2"}
    assert runtime.quantized == {"Conv": 1, "MatMul": 5, "Gather": 1}
    # Linear layers are in float here, and no kind tells an LSTM's products from theirs.
    assert loaded("ort-dynamic:operators=LSTM", mixed).kinds == frozenset()


def recurrent_file(path: Path, kind: type[nn.LSTM] | type[nn.GRU]) -> Path:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.core = nn.Linear(4, 4), kind(4, 8, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.core(self.first(x).relu())[0][:, -1]
            return scores

    torch.manual_seed(0)
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Both().eval(), (torch.randn(2, 6, 4),), path, dynamo=False, input_names=["x"],
            output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, opset_version=17,
        )  # fmt: skip
    return path


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_which_points_of_a_file_it_rounds(
    kind: type[nn.LSTM] | type[nn.GRU], tmp_path: Path
) -> None:
    """An LSTM's, and at 8 bits the simulation gives its scores; a GRU's not."""
    path = recurrent_file(tmp_path / "net.onnx", kind)
    subject = load_model(str(path))
    runtime = loaded("ort-dynamic", (subject, path.read_bytes()))
    x = torch.randn(12, 6, 4, generator=torch.Generator().manual_seed(0))
    plan = discover(subject.module, x, Selection(include_stem=True))
    rounded = {
        point.site.partition("@")[0].rpartition(".")[2] for point in plan.rounded_by(runtime)
    }
    assert rounded == ({"first", "inputs", "hidden"} if kind is nn.LSTM else {"first"})
    if kind is nn.LSTM:
        simulated = Attachment(subject.module, plan, "onnx", 8)
        ours = simulated.run(x, rounding_to(torch.full((12, len(plan)), 8)))
        # Exact sums, whatever this processor's are.
        run = runtime.run if runtime.sums is None else runtime.sums.exact()
        theirs = torch.cat([run(one) for one in x.split(1)])
        in_float = subject.module(x)
        gaps = [(other - theirs).abs().amax(1) for other in (ours, in_float)]
        # A value on the edge may be rounded to the next step, but seldom.
        assert float(gaps[0].median()) < 1e-5 < 1e-4 < float(gaps[1].median())


def test_a_plans_layers_stay_in_float(mixed: tuple[Subject, bytes], prepared: Path) -> None:
    asked = ("attention", "attention.out_proj", "conv", "head@2", "nothing")
    runtime = loaded("ort-dynamic", mixed, asked)
    assert runtime.kept == {*asked} - {"nothing"}
    assert runtime.quantized == {"MatMul": 2, "LSTM": 1, "Gather": 1}
    nodes = {node.name: node for node in onnx.load(prepared).graph.node}
    heads = [name for name, node in nodes.items() if "model.head.weight" in node.input]
    convs = [name for name, node in nodes.items() if node.op_type == "Conv"]
    out = [name for name, node in nodes.items() if "model.attention.out_proj.weight" in node.input]
    first = next(name for name, node in nodes.items() if node.op_type == "MatMul")
    # The head's second use is of the first step.
    x, _ = by_hand(
        prepared,
        TOKENS,
        nodes_to_exclude=[first, *convs, *(f"{name}_MatMul" for name in [*out, max(heads)])],
    )
    assert torch.equal(runtime.run(TOKENS), x)


def file_of_nodes(named: bool) -> bytes:
    """Conv and BatchNormalization, which are folded; MatMul and Add, which become a Gemm."""
    rng = np.random.default_rng(0)
    shapes = {"c": (4, 1, 3, 3), "b": (4,), "m": (4,), "w": (144, 8), "d": (8,), "v": (8, 3)}
    values = {name: rng.standard_normal(shape) for name, shape in shapes.items()} | {
        "s": np.ones(4),
        "r": np.ones(4),
    }
    steps = [
        ("Conv", "x c", "y1"),
        ("BatchNormalization", "y1 s b m r", "y2"),
        ("Flatten", "y2", "y3"),
        ("MatMul", "y3 w", "y4"),
        ("Add", "y4 d", "y5"),
        ("Relu", "y5", "y6"),
        ("MatMul", "y6 v", "y"),
    ]
    nodes = [
        helper.make_node(kind, takes.split(), [gives], f"/{gives}/{kind}" if named else "")
        for kind, takes, gives in steps
    ]
    graph = helper.make_graph(
        nodes,
        "nodes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in values.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    written: bytes = model.SerializeToString()
    return written


@pytest.mark.parametrize("named", [True, False])
def test_in_a_users_file_too_though_nodes_are_fused_or_have_no_name(
    named: bool, tmp_path: Path
) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(file_of_nodes(named))
    subject = load_model(str(file))
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    given = (subject, file.read_bytes())
    assert loaded("ort-dynamic", given).quantized == {"Conv": 1, "MatMul": 2}
    layers = [name for name, m in subject.module.named_modules() if isinstance(m, nn.Linear)]
    convs = [name for name, m in subject.module.named_modules() if isinstance(m, nn.Conv2d)]
    kept = loaded("ort-dynamic", given, (layers[0], *convs))
    assert kept.kept == {layers[0], *convs}
    assert kept.quantized == {"MatMul": 1}
    assert (kept.in_float["Conv"], kept.in_float["MatMul"]) == (1, 1)
    # The last layer alone is rounded: eight values and 24 weights.
    expected = kept.run_float(x)
    assert torch.allclose(kept.run(x), expected, atol=0.1 * float(expected.abs().max()))


def saturates_here() -> bool:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return "avx2" in flags and flags.isdisjoint({"avx512_vnni", "avx_vnni"})


def saturating() -> bytes:
    """One product of large positive values by weights of which some are at the end of int8."""
    weight = np.linspace(0.2, 1, 64 * 3, dtype=np.float32).reshape(64, 3)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "product")],
        "saturating",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weight, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    written: bytes = model.SerializeToString()
    return written


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("ort-dynamic", True),
        ("ort-dynamic:weights=uint8", False),
        ("ort-dynamic:reduce_range", False),
        ("ort-dynamic:per_channel", True),
        ("ort-dynamic:per_channel,reduce_range", False),
    ],
)
def test_it_says_where_sums_may_saturate_and_they_do_nowhere_else(
    text: str, may: bool, tmp_path: Path
) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(saturating())
    runtime = loaded(text, (load_model(str(file)), saturating()))
    assert (runtime.sums is not None) is may
    x = 1 - torch.rand(5, 64, generator=torch.Generator().manual_seed(0)) / 10
    apart = float((runtime.run(x) - runtime.run_float(x)).abs().max())
    # Rounding alone: 64 products, each off by half a step of values and of weights at most.
    rounding = 64 * (0.5 / 255 + (1 / 127 if "reduce" in text else 0.5 / 127))
    if may and saturates_here():
        assert apart > 2 * rounding
    else:
        assert apart < rounding


def trained_on_digits() -> tuple[bytes, Tensor]:
    """A network trained on 1,000 handwritten digits, as a file, and the other 797."""
    x, y = (torch.from_numpy(values) for values in load_digits(return_X_y=True))
    x = (x / 16).float()
    torch.manual_seed(0)
    first, second = layers = nn.Linear(64, 32), nn.Linear(32, 10)
    optimizer = torch.optim.Adam([p for one in layers for p in one.parameters()], 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(second(first(x[:1000]).relu()), y[:1000]).backward()
        optimizer.step()
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "v", "c"], ["y"], transB=1),
    ]
    values = (first.weight, first.bias, second.weight, second.bias)
    tensors = [
        numpy_helper.from_array(value.numpy(force=True), name)
        for value, name in zip(values, "wbvc", strict=True)
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    written: bytes = model.SerializeToString()
    return written, x[1000:]


def test_trained_digits_are_decided_otherwise_by_other_processors(tmp_path: Path) -> None:
    data, x = trained_on_digits()
    file = tmp_path / "digits.onnx"
    file.write_bytes(data)
    runtime = loaded("ort-dynamic", (load_model(str(file)), data))
    assert runtime.sums is not None
    runs = [runtime.run, runtime.sums.exact(), runtime.sums.saturating()]
    here, exact, saturating = (torch.cat([run(one) for one in x.split(1)]) for run in runs)
    # This processor is one of both, to the bit.
    assert torch.equal(here, saturating if saturates_here() else exact)
    assert int((exact != saturating).any(1).sum()) > 100
    assert 1 <= int((exact.argmax(1) != saturating.argmax(1)).sum()) < 40


def test_where_an_lstm_is_quantized_its_sums_are_simulated_too(
    mixed: tuple[Subject, bytes],
) -> None:
    runtime = loaded("ort-dynamic", mixed)
    assert runtime.sums is not None
    runs = [runtime.run, runtime.sums.exact(), runtime.sums.saturating()]
    here, exact, saturating = (run(TOKENS) for run in runs)
    assert not torch.equal(exact, saturating)
    assert torch.equal(here, saturating if saturates_here() else exact)


def test_every_layer_runs_in_integers_and_decisions_stay_near_float() -> None:
    subject = load_model("base-digits")
    examples = load_examples("digits", subject=subject, limit=40, seed=0)
    assert isinstance(examples.inputs, torch.Tensor)
    inputs = examples.inputs
    runtime = load_runtime("ort-dynamic", subject, lambda: float_onnx(subject.module, inputs))
    assert runtime.quantized == {"Conv": 20, "MatMul": 1}
    assert runtime.in_float == {"Relu": 17, "Add": 8, "ReduceMean": 1}
    expected, found = subject.module(inputs), runtime.run(inputs)
    assert not torch.equal(expected, found)
    assert (expected.argmax(1) == found.argmax(1)).float().mean() > 0.9


@pytest.mark.parametrize("trailing", [False, True])
def test_other_processors_scores_have_the_form_of_the_runtimes_own(trailing: bool) -> None:
    """Axes of size 1 are dropped from all of them alike."""
    torch.manual_seed(0)
    layers = [nn.Linear(8, 4), *([nn.Unflatten(1, (4, 1))] if trailing else [])]
    subject = make_subject("a layer", nn.Sequential(*layers).eval(), None, None)
    x = torch.randn(6, 8)
    runtime = loaded("ort-dynamic", (subject, float_onnx(subject.module, x)))
    assert runtime.sums is not None
    runs = [runtime.run, runtime.sums.exact(), runtime.sums.saturating(), *runtime.sums.compared()]
    assert [run(x).shape for run in runs] == [(6, 4)] * 5
    with pytest.raises(InputError, match="it cannot run a layer"):
        runtime.sums.exact()(torch.randn(6, 9))
