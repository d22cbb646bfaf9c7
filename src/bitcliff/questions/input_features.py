"""What is measured on every input, to see what those at risk have in common."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.outcomes import Predictions, predictions_of
from bitcliff.points.forward import raw_tensors
from bitcliff.questions.context import Context, Side
from bitcliff.questions.features import MeasuredFeature, MeasuredKey, NotMeasured
from bitcliff.questions.image_scale import by_preprocessing, layout_of
from bitcliff.questions.watched import Watched
from bitcliff.types.subject import MASK, AllInputs, Examples, Sounds, in_parts

# Weights of red, green and blue in brightness (ITU-R BT.601), as Pillow's grey images have them.
_LUMA = (0.299, 0.587, 0.114)


def features_of(context: Context) -> tuple[list[MeasuredFeature], list[NotMeasured]]:
    """Everything that can be measured on the test side's inputs, and what cannot, and why."""
    side = context.test
    inputs = side.examples.inputs
    found = [*_of_images(side), _distance(context), _length(side.examples), loudness(inputs)]
    return (
        [one for one in found if isinstance(one, MeasuredFeature)],
        [one for one in found if isinstance(one, NotMeasured)],
    )


def classes_of(side: Side) -> Predictions:
    """Each example's class: its label, or without labels what float predicts."""
    labels = side.examples.labels
    return predictions_of(side.prepared.in_float) if labels is None else labels.tolist()


def _of_images(side: Side) -> list[MeasuredFeature | NotMeasured]:
    keys: tuple[MeasuredKey, ...] = ("brightness", "contrast", "sharpness")
    inputs = side.examples.inputs
    if [x.ndim for x in raw_tensors(inputs)].count(4) != 1:
        reason = "the inputs are not images (channels, height, width)"
        return [NotMeasured(key=key, reason=reason) for key in keys]
    found = []
    for part in in_parts(inputs):
        pixels, on = as_pixels(next(x for x in raw_tensors(part) if x.ndim == 4), side)
        found += [image_features(some) for some in pixels.split(256)]
    values = torch.cat(found, 1).numpy()
    words = ("mean", "standard deviation", "variance of the Laplacian")
    return [
        MeasuredFeature(key=key, measured=f"{what} of {on}", values=each)
        for key, what, each in zip(keys, words, values, strict=True)
    ]


def as_pixels(
    x: Float[Tensor, "n i j k"], side: Side
) -> tuple[Float[Tensor, "n channels height width"], str]:
    """The model's input with its normalisation undone, where that is known; and what it then is.

    Channels come first in it, and red before blue."""
    done = side.prepared.subject.preprocessing
    layout = layout_of(x, done)
    laid_out = x if layout is None else layout.laid_out(x)
    channels = laid_out.shape[1]
    grey = "" if channels == 1 else " as a grey image" if channels == 3 else " over channels"
    bare = side.examples.preprocessing == Examples.preprocessing
    if done is None or layout is None or bare:
        return laid_out, f"the model’s input{grey}"
    pixels = by_preprocessing(done, layout, x).to_images(x)
    return pixels, f"the pixels that the model sees, 0 to 1,{grey}"


def image_features(x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "3 n"]:
    """Brightness (mean), contrast (standard deviation) and sharpness (variance of the Laplacian of
    four neighbours, inside the border) of the grey image; NaN below 3 pixels a side."""
    weights = x.new_tensor(_LUMA if x.shape[1] == 3 else [1 / x.shape[1]] * x.shape[1])
    grey = torch.einsum("nchw,c->nhw", x.double(), weights.double())
    flat = grey.flatten(1)
    brightness, contrast = flat.mean(1), flat.std(1, correction=0)
    if min(grey.shape[1:]) < 3:
        return torch.stack([brightness, contrast, torch.full_like(brightness, torch.nan)])
    kernel = grey.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    edges = F.conv2d(grey[:, None], kernel).flatten(1)
    return torch.stack([brightness, contrast, edges.var(1, correction=0)])


def reaching_last_point(side: Side) -> Float[Tensor, "n width"] | None:
    """What reaches the last quantization point in float, example by example.

    None if that point is not reached in every pass, or not always by as many values.
    """
    last, seen = len(side.prepared.points) - 1, []

    def keep(rows: Tensor, index: int) -> Tensor:
        if index == last:
            seen.append(rows.flatten(1).cpu())
        return rows

    watched = Watched(side.prepared.subject.module, side.prepared.points, keep)
    evaluator = Evaluator(watched, side.evaluator.inputs, side.evaluator.batch_size)
    # Any bits: with these the points are watched, and nothing is rounded.
    evaluator.scores(
        side.everyone, torch.zeros(len(side.examples), len(side.prepared.points)).long()
    )
    widths = {rows.shape[1] for rows in seen}
    if len(widths) != 1 or sum(map(len, seen)) < len(side.examples):
        return None
    return torch.cat(seen)[: len(side.examples)].double()


def _distance(context: Context) -> MeasuredFeature | NotMeasured:
    test, train = context.test, context.train
    classes = torch.tensor([-1 if c is None else c for c in classes_of(test)])
    features = reaching_last_point(test)
    others = features if train is None else reaching_last_point(train)
    if features is None or others is None:
        return NotMeasured(key="distance", reason="the last point is not reached in every pass")
    if train is None:
        which, values = "the other examples", distances_within(features, classes)
    else:
        which = "the training examples"
        known = torch.tensor([-1 if c is None else c for c in classes_of(train)])
        values = distances_to(features, classes, others, known)
    if not bool(values.isfinite().any()):
        return NotMeasured(key="distance", reason=f"{which} hold none of the same class")
    name = test.prepared.points.points[-1].name
    words = f"Euclidean, of what reaches {name} in float, to the mean of {which} of its class"
    return MeasuredFeature(key="distance", measured=words, values=values.numpy())


def distances_to(
    features: Float[Tensor, "n width"],
    classes: Tensor,
    others: Float[Tensor, "m width"],
    known: Tensor,
) -> Float[Tensor, " n"]:
    """To the mean of the others of one's class; NaN where there is none. Class -1 is no class."""
    found = torch.full((len(features),), torch.nan, dtype=torch.float64)
    whole = others.isfinite().all(1)
    for one in classes.unique().tolist():
        mine, theirs = classes == one, (known == one) & whole
        if one >= 0 and bool(theirs.any()):
            found[mine] = (features[mine] - others[theirs].mean(0)).norm(dim=1)
    return found


def distances_within(features: Float[Tensor, "n width"], classes: Tensor) -> Float[Tensor, " n"]:
    """To the mean of one's class without oneself; NaN for the only one of a class."""
    found = torch.full((len(features),), torch.nan, dtype=torch.float64)
    whole = features.isfinite().all(1)
    for one in classes.unique().tolist():
        mine = (classes == one) & whole
        size = int(mine.sum())
        if one >= 0 and size > 1:
            apart = (features[mine] - features[mine].mean(0)).norm(dim=1)
            # Without oneself the mean lies further off, by just this factor.
            found[mine] = apart * size / (size - 1)
    return found


def _length(examples: Examples) -> MeasuredFeature | NotMeasured:
    mask = examples.inputs.get("attention_mask") if isinstance(examples.inputs, Mapping) else None
    if mask is None:
        return NotMeasured(key="length", reason="the inputs are not texts with an attention mask")
    values = mask.flatten(1).sum(1).double().numpy()
    return MeasuredFeature(key="length", measured="tokens of the text", values=values)


def loudness(inputs: AllInputs) -> MeasuredFeature | NotMeasured:
    """Of sounds, over what is no padding: 20 log10 of the root of the mean square."""
    if isinstance(inputs, Sounds):
        there = inputs[MASK].bool()
        samples = next(x for x in inputs.given.values() if x.shape == there.shape)
    elif isinstance(inputs, Tensor) and inputs.ndim == 3 and inputs.shape[1] == 1:
        samples = inputs[:, 0]
        there = torch.ones_like(samples, dtype=torch.bool)
    else:
        return NotMeasured(key="loudness", reason="the inputs are not sounds (samples)")
    power = (samples.double().square() * there).sum(1) / there.sum(1).clamp(min=1)
    values = torch.where(power > 0, 10 * power.log10(), torch.nan).numpy()
    words = "root of the mean square of the samples, decibels (0: always at full scale)"
    return MeasuredFeature(key="loudness", measured=words, values=values)
