"""With torch's compiler loaded, what a mode does is shielded from it, as in torch's own modes."""

import sys
from typing import Any

import pytest
import torch
import torch._dynamo

from bitcliff.points.dispatch_mode import DispatchMode


class Seen(DispatchMode):
    """Notes whether the compiler may have a frame, at each kernel."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.callbacks: list[Any] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.callbacks.append(torch._C._dynamo.eval_frame.get_eval_frame_callback())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("loaded", [True, False])
def test_the_compiler_is_kept_out_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, loaded: bool
) -> None:
    if not loaded:
        monkeypatch.delitem(sys.modules, "torch._dynamo")
    frames = torch._C._dynamo.eval_frame
    before = frames.set_eval_frame(False)  # as inside compiled code, but compiling nothing
    try:
        with Seen() as mode:
            torch.ones(2) + 1
    finally:
        frames.set_eval_frame(before)
    assert len(mode.callbacks) >= 2
    assert mode.callbacks == [None if loaded else False] * len(mode.callbacks)
