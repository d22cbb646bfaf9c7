"""`--black-box FILE.onnx`: a network that is assessed by its outputs alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bitcliff.adapters.black_box.onnx_file import open_onnx
from bitcliff.adapters.black_box.outputs import Form, Opened, checked
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.onnx.baseline import check_baseline
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.onnx.images import image_preprocessing
from bitcliff.adapters.onnx.one_piece import in_one_piece, put_examples_first
from bitcliff.adapters.onnx.subject import declared_inputs, declared_output, plain_shape
from bitcliff.adapters.python_tasks import is_own_task, load_task
from bitcliff.errors import InputError
from bitcliff.points.find_task import judge_by
from bitcliff.points.forward import take
from bitcliff.points.outputs import Moved, examples_first, find_moved, keep_moved, moved_of
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Inputs, Subject

_NOTHING_ASKED = ModelOptions()
_AT_ONCE = 256


def load_black_box_subject(spec: str, options: ModelOptions = _NOTHING_ASKED) -> Subject:
    """An ONNX file that stays one: ONNX Runtime gives its scores in float, and nothing else.

    Images are brought to the size that the file declares; mean and deviation, which it does not,
    come from `options`.

    Raises:
        InputError: not an ONNX file that ONNX Runtime can run, one with a fixed batch above 1, one
            that is no baseline, or whose output is not clear.
    """
    if not spec.lower().endswith(".onnx"):
        raise InputError(f"MODEL {spec}: --black-box takes a network as FILE.onnx")
    model = read_onnx(Path(spec)).model
    try:
        check_baseline(model)
    except InputError as error:
        raise InputError(f"{spec}: {error}") from error
    output, others = declared_output(model.graph, options, spec)
    options = options.changed(output=None)
    opened = open_onnx(spec, BlackBoxSettings(output=output), images=False)
    if opened.batch is not None and opened.batch > 1:
        raise InputError(
            f"{spec}: takes {opened.batch} examples at once and no other number; export it again "
            "with a batch dimension that is free, or 1"
        )
    inputs = declared_inputs(model.graph, spec)
    shape = plain_shape(inputs)
    named = inputs if shape is None else None
    preprocessing, unnormalised = image_preprocessing(shape, options, spec)
    form = Form(options.num_classes, of_any_task=True)
    module = _AsModule(spec, opened, form, tuple(named or ())).eval()
    if options.task is not None:
        judge_by(module, load_task(options.task))
    return Subject(
        name=spec,
        module=module,
        preprocessing=preprocessing,
        class_names=None,
        weights_sha256=opened.identity,
        runs_user_code=is_own_task(options.task),
        black_box=True,
        named_inputs=named,
        input_shape=shape or None,
        output=output,
        other_outputs=others,
        unnormalised=unnormalised,
    )


def onnx_bytes(spec: str, output: str | None = None, moved: Moved | None = None) -> bytes:
    """The file with all its weights; `load_black_box_subject` has checked where they lie.

    Args:
        output: the only one that is left of its outputs, since runtimes are asked for the first.
        moved: where that has the examples, if not first; then a node behind it puts them there.

    Raises:
        InputError: more than ONNX can hold in one piece.
    """
    model = in_one_piece(Path(spec))
    kept = [one for one in model.graph.output if output in (None, one.name)]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    if moved is not None:
        put_examples_first(model.graph, moved)
    written: bytes = model.SerializeToString()
    return written


class _AsModule(nn.Module):
    """A black box in the form of a module, which gives what the file gives; `names` where its
    inputs have some."""

    def __init__(self, spec: str, opened: Opened, form: Form, names: tuple[str, ...]) -> None:
        super().__init__()
        self.opened, self.names, self.looked = opened, names, False
        self.ask = checked(spec, replace(opened, predict=self._predict), form, _AT_ONCE)

    def _predict(self, given: Inputs) -> Tensor:
        """Its examples first: parts are put together along them."""
        ask = self.opened.predict

        def ask_again(count: int) -> Tensor:
            return ask(take(given, torch.zeros(count, dtype=torch.int64)))

        if not self.looked:
            moved = find_moved(ask_again(1), ask_again, self.opened.batch)
            if moved is not None:
                keep_moved(self, moved)
            self.looked = True
        return examples_first(ask(given), moved_of(self))

    def in_order(self, named: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(named[name] for name in self.names)

    def forward(self, *inputs: Tensor) -> Tensor:
        output = self.ask(dict(zip(self.names, inputs, strict=True)) if self.names else inputs[0])
        moved = moved_of(self)
        return output if moved is None else output.movedim(0, moved.axis)
