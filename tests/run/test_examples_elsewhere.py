"""A network that gives its frames first and its examples second is judged as one that does not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from bitcliff import Audit
from bitcliff.points.find_task import judge_by
from bitcliff.record import Record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.export_job import ExportJob, run_export
from bitcliff.types.options import ModelOptions
from bitcliff.types.runtime_choice import RuntimeChoice
from tests.contract.subjects import SETTINGS
from tests.run.test_assess_job import Notes

N, FRAMES, WIDTH, SYMBOLS = 12, 2, 6, 5
X = np.random.default_rng(0).normal(size=(N, FRAMES, WIDTH)).astype(np.float32)


def network(path: Path, frames_first: bool, batch: str | int) -> str:
    """(batch, frames, width) to (frames, batch, symbols), or with the batch first."""
    random = np.random.default_rng(1)
    weights = {
        "v": random.normal(size=(WIDTH, WIDTH)).astype(np.float32),
        "w": random.normal(size=(WIDTH, SYMBOLS)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["t", "v"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y" if frames_first else "f"]),
    ]
    if not frames_first:
        nodes.append(helper.make_node("Transpose", ["f"], ["y"], perm=[1, 0, 2]))
    # As the reader of captchas that this was found with declares it, which is of no use.
    declared: list[str | int] = [1, "length"] if frames_first else [batch, FRAMES, SYMBOLS]
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, FRAMES, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, declared)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)


def assessed(folder: Path, frames_first: bool, batch: str | int, black_box: bool) -> Record:
    folder.mkdir()
    spec = network(folder / "net.onnx", frames_first, batch)
    ships = folder / "int8.onnx"
    quantize_dynamic(spec, ships, weight_type=QuantType.QUInt8)
    np.savez(folder / "data.npz", x=X)
    job = AssessJob(
        spec,
        str(folder / "data.npz"),
        folder / "run",
        "bitcliff ...",
        settings=SETTINGS.changed(include_stem=True),
        runtimes=(RuntimeChoice("ort-dynamic"), RuntimeChoice(f"file:{ships}")),
        black_box=black_box,
        model_options=ModelOptions(task="ctc"),
    )
    return run_assess(job, Notes().listener())[0]


@pytest.mark.parametrize("black_box", [False, True])
@pytest.mark.parametrize("batch", ["n", 1])
def test_files_and_their_runtimes(tmp_path: Path, batch: str | int, black_box: bool) -> None:
    """As many examples in the batch as frames, among other numbers: sizes alone do not tell."""
    records = [
        assessed(tmp_path / str(frames_first), frames_first, batch, black_box)
        for frames_first in (True, False)
    ]
    ours, twin = (
        {name.partition(":")[0]: one for name, one in record.outcomes.items()} for record in records
    )
    assert ours.keys() == twin.keys() >= {"ort-dynamic", "file"}
    for name, one in ours.items():
        assert np.array_equal(one.prediction, twin[name].prediction)
        assert np.allclose(one.margin, twin[name].margin, atol=1e-5)
    if not black_box:
        assert any((one.prediction != 0).any() for one in ours.values())  # some strings are others
        run_export(ExportJob(tmp_path / "True" / "run", "uniform-4"), Notes().listener())


class FramesFirst(nn.Module):
    """As for PyTorch's CTC loss: (frames, batch, symbols)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, SYMBOLS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x.transpose(0, 1)).relu())  # type: ignore[no-any-return]


class ExamplesFirst(FramesFirst):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).transpose(0, 1)


def test_networks_of_the_users_own_code() -> None:
    found = []
    for network in (FramesFirst().eval(), ExamplesFirst().eval()):
        judge_by(network, "ctc")
        settings = SETTINGS.changed(include_stem=True)
        found.append(Audit(network, [torch.from_numpy(X)], settings=settings).assess())
    for name, one in found[0].outcomes.items():
        twin = found[1].outcomes[name]
        assert np.array_equal(one.prediction, twin.prediction)
        assert np.array_equal(one.margin, twin.margin)
        assert (one.bits is None) == (twin.bits is None)
        assert one.bits is None or twin.bits is None or np.array_equal(one.bits, twin.bits)
