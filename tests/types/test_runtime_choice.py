"""A runtime and its options: how people read them, how a configuration keeps them."""

import json

import pytest
from pydantic import TypeAdapter

from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice

CHOICES = {
    "torch-dynamic": RuntimeChoice("torch-dynamic"),
    "ort-dynamic": RuntimeChoice("ort-dynamic", OrtOptions(weights="int8")),
    "ort-dynamic:weights=uint8,per_channel,reduce_range,operators=Conv+LSTM": RuntimeChoice(
        "ort-dynamic",
        OrtOptions(
            operators=("Conv", "LSTM"), reduce_range=True, per_channel=True, weights="uint8"
        ),
    ),
    "ort-dynamic:default_tensor_type=float16": RuntimeChoice(
        "ort-dynamic", OrtOptions(default_tensor_type="float16")
    ),
}


@pytest.mark.parametrize("label", CHOICES)
def test_the_label_names_what_is_not_the_default_and_fields_hold_all(label: str) -> None:
    choice = CHOICES[label]
    assert choice.label == label
    kept = json.loads(json.dumps(choice.fields))
    assert TypeAdapter(RuntimeChoice).validate_python(kept) == choice
