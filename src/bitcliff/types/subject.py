"""What is assessed, and on what: a model with its preprocessing, and examples held in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from bitcliff.types.streamed import Streamed
from bitcliff.types.waveform import Waveform

Inputs = Tensor | Mapping[str, Tensor]
"""A batch as the model takes it: a tensor (batch, *rest), or keyword tensors (batch, *rest)."""

AllInputs = Inputs | Streamed
"""The inputs of all examples of a data set: held in memory, or read when they are needed."""

MASK = "attention_mask"
"""By convention, ones where a text has tokens and zeros where it is padded."""


IDS, DECODED = "input_ids", "decoder_input_ids"
"""By the same convention, the tokens of a text; and those that a network which hears or translates
goes on from, behind which its own follow."""


def mask_over(inputs: Inputs, shape: Sequence[int]) -> Tensor | None:
    """The mask, if it is of the positions of an output of this shape, (batch, positions)."""
    if not isinstance(inputs, Mapping) or DECODED in inputs:
        return None
    mask = inputs.get(MASK)
    return mask if mask is not None and mask.shape == torch.Size(shape) else None


class Texts(dict[str, Tensor]):
    """Keyword tensors of texts, `MASK` among them: padding is no part of the examples.

    Texts of one length are run together and without it, so that it enters no range and nobody's
    outcome depends on who else is there.
    """

    @property
    def lengths(self) -> Tensor:
        """(n,) in tokens."""
        return (self[MASK] != 0).sum(1)

    @property
    def given(self) -> dict[str, Tensor]:
        """What a network is called with."""
        return dict(self)

    def unpadded(self) -> "Texts":
        """Without the positions at which all are padded."""
        kept = (self[MASK] != 0).transpose(0, 1).flatten(1).any(1)
        return self._of_tokens(lambda x: x[:, kept])

    def one_by_one(self) -> Iterator["Texts"]:
        """Each alone, and so without padding."""
        for row in range(len(self[MASK])):
            yield type(self)({name: x[row : row + 1] for name, x in self.items()}).unpadded()

    def cut(self, length: int) -> "Texts":
        """To so many tokens at most, those at the end or, padded at the start, at the beginning."""
        at_end = bool((self[MASK][:, 0] != 0).all())
        return self._of_tokens(lambda x: x[:, :length] if at_end else x[:, x.shape[1] - length :])

    def _of_tokens(self, change: Callable[[Tensor], Tensor]) -> "Texts":
        shape = self[MASK].shape
        changed = {
            name: change(x) if x.shape[:2] == shape and name != DECODED else x
            for name, x in self.items()
        }
        return type(self)(changed)


class Choices(Texts):
    """Questions, each with several choices: tensors (batch, tokens, choices).

    A choice that is shorter than another of its question goes on with its last token, which counts
    for nothing: no token before sees it.
    """

    COUNTS = "counts"
    """Ones at the tokens of a choice, zeros at those of the question and at what fills up."""

    @property
    def lengths(self) -> Tensor:
        """(n,) of each question with its longest choice, in tokens."""
        return (self[MASK] != 0).any(2).sum(1)

    @property
    def given(self) -> dict[str, Tensor]:
        """Question by question, choice by choice: (batch * choices, tokens)."""
        rows = {name: x.transpose(1, 2).flatten(0, 1) for name, x in self.items()}
        return {name: x for name, x in rows.items() if name != self.COUNTS}


class Sounds(Texts):
    """The same of sounds, for a network that takes no mask: it only tells of padding here."""

    @property
    def given(self) -> dict[str, Tensor]:
        """All but the mask."""
        return {name: values for name, values in self.items() if name != MASK}


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input.

    Attributes:
        size: height and width of the input, pixels.
        channels: 3 for RGB, 1 for grey.
        scale: factor on the 0..255 pixel values, applied first.
        mean, std: one number per channel, in the input's order of them, on the scaled values:
            (x * scale - mean) / std.
        crop: share of the resized image that the centre crop keeps, in (0, 1].
        interpolation: "bilinear", "bicubic" or "nearest".
        source: where these settings came from, in words, for the record.
        channels_last: the input is (height, width, channels), as TensorFlow's exporters write it.
        bgr: its channels are blue, green and red.
    """

    size: tuple[int, int]
    channels: int = 3
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    crop: float = 1.0
    interpolation: str = "bilinear"
    source: str = "default"
    channels_last: bool = False
    bgr: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image, as the model takes it."""
        return (*self.size, self.channels) if self.channels_last else (self.channels, *self.size)


def channel_axis(shape: Sequence[int], preprocessing: Preprocessing | None = None) -> int | None:
    """The dimension of a batch of images that their 1 or 3 channels lie along; None: no images.

    Where both the second and the last could be it, the one that the preprocessing has; without a
    preprocessing the second. Without one, too, a last dimension of 1 is no channel: features of
    shape (n, length, width, 1) are not images.
    """
    if len(shape) != 4:
        return None
    if preprocessing is None:
        return 1 if shape[1] in (1, 3) else 3 if shape[3] == 3 else None
    axes = (3, 1) if preprocessing.channels_last else (1, 3)
    return next((axis for axis in axes if shape[axis] in (1, 3)), None)


@dataclass(frozen=True)
class NamedInput:
    """An input that a network's file declares.

    Attributes:
        dtype: of its values. shape: batch first, None for a size that is left open; None: any. ():
            one number for a whole batch, which here each example has, and all alike.
    """

    dtype: torch.dtype
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Tokens:
    """Texts as a model takes them.

    Attributes:
        inputs: keyword tensors (texts, *rest).
        lengths: of each text, in tokens, before it was cut to what the model takes.
        longest: what it takes at most.
    """

    inputs: Mapping[str, Tensor]
    lengths: tuple[int, ...]
    longest: int

    @property
    def numbers(self) -> list[list[int]]:
        """Of each text, the tokens that the model takes."""
        every = zip(self.inputs["input_ids"], self.inputs[MASK], strict=True)
        return [ids[mask != 0].tolist() for ids, mask in every]


Tokenizer = Callable[[list[str] | list[tuple[str, str]]], Tokens]
"""Of texts, or of questions each with the text that they are about."""


@dataclass(frozen=True)
class Hearing:
    """How a sound becomes a model's input.

    Attributes:
        rate: samples a second.
        shortest, longest: samples that it takes, at least and at most.
        features: of one sound, (samples,) float32 in [-1, 1]: keyword tensors (1, *rest).
        source: where these settings came from, in words, for the record.
    """

    rate: int
    shortest: int
    longest: int
    features: Callable[[Float32[np.ndarray, " samples"]], Mapping[str, Tensor]]
    source: str


@dataclass(frozen=True)
class Subject:
    """A model under assessment: in eval mode, its parameters frozen.

    Attributes:
        name: as the user gave it, e.g. "timm:resnet18".
        module: called as module(tensor) or module(**tensors); gives logits (batch, classes), as a
            tensor or as an object with a `logits` attribute.
        preprocessing: None where inputs are taken as they are (arrays, tokens).
        unnormalised: in place of `preprocessing`, where all of it is known but what mean and
            deviation pixels should get, which a file does not say.
        class_names: in output order, if known.
        weights_sha256: of the weights' file, or of the state dict where there is no file.
        runs_user_code: the model came from `py:`, so the user's own code ran.
        black_box: only its outputs are to be had: no points, no gradient, no weights.
        tokenizer: for text models from a Hugging Face folder.
        written: what its outputs say, by their numbers in order, where names one by one do not.
        hearing: for models of sound from there.
        named_inputs: for files that take several arrays, or whole numbers: what they declare, by
            the keywords that the module is called with.
        input_shape: of its one input, where that needs no name and a file declares its shape: batch
            first, None for a size that is left open.
        output: the name of the output that is judged; None: it has one alone, or is not known yet.
        other_outputs: those beside it, with their shapes in words.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing | None
    class_names: tuple[str, ...] | None
    weights_sha256: str
    runs_user_code: bool = False
    black_box: bool = False
    tokenizer: Tokenizer | None = None
    written: Callable[[Sequence[int]], str] | None = None
    hearing: Hearing | None = None
    named_inputs: Mapping[str, NamedInput] | None = None
    input_shape: tuple[int | None, ...] | None = None
    output: str | None = None
    other_outputs: tuple[str, ...] = ()
    unnormalised: Preprocessing | None = None


@dataclass(frozen=True)
class Examples:
    """The examples an assessment runs on, already preprocessed and subsampled.

    Attributes:
        name: the data as the user gave it.
        inputs: n examples along dim 0, not all read yet where they are too many to be held.
        labels: (n,) int64 in [0, classes), or None where there are none.
        ids: n distinct names, for the record and the report.
        n_available: how many examples the source holds, before subsampling.
        sha256: over the inputs and labels used, in order.
        class_names: as the data names its classes, if it does.
        preprocessing: what was done to each example, in words, for the record.
        thumbnails: n small images as data URIs ("data:image/jpeg;base64,..."), or None.
        labelling: how labels were read, in words; empty where nothing was to be decided.
        texts: what n texts say, long ones their end, or None.
        wanted: n texts that are labels, of a task whose outcomes are texts, or None.
        waves: of n sounds, or None.
    """

    name: str
    inputs: AllInputs
    labels: Tensor | None
    ids: tuple[str, ...]
    n_available: int
    sha256: str
    class_names: tuple[str, ...] | None = None
    preprocessing: str = "none: taken as they are"
    thumbnails: Sequence[str] | None = None
    labelling: str = ""
    texts: tuple[str, ...] | None = None
    wanted: tuple[str, ...] | None = None
    waves: tuple[Waveform, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        _add(digest, name, tensor.dtype, tensor.shape, [tensor])
    return digest.hexdigest()


def examples_sha256(inputs: AllInputs, labels: Tensor | None) -> str:
    """SHA-256 of examples as the model takes them, in order, and of their labels."""
    digest = hashlib.sha256()
    if isinstance(inputs, Streamed):
        whole = hashlib.sha256()
        _add(whole, "inputs", inputs.described.dtype, inputs.shape, inputs.in_parts())
        digest.update(whole.hexdigest().encode())
    else:
        tensors = {"inputs": inputs} if isinstance(inputs, Tensor) else dict(inputs)
        digest.update(tensors_sha256(tensors).encode())
    if labels is not None:
        digest.update(tensors_sha256({"labels": labels}).encode())
    return digest.hexdigest()


def _add(
    digest: "hashlib._Hash",
    name: str,
    dtype: torch.dtype,
    shape: Sequence[int],
    parts: Iterable[Tensor],
) -> None:
    digest.update(f"{name} {dtype} {tuple(shape)}\n".encode())
    for part in parts:
        digest.update(part.contiguous().flatten().view(torch.uint8).numpy().data)


def in_parts(inputs: AllInputs) -> Iterator[Inputs]:
    """All examples in order, those that are held at once."""
    if isinstance(inputs, Streamed):
        yield from inputs.in_parts()
    else:
        yield inputs
