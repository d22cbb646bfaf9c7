"""A small real run of every kind, with the least effort."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bitcliff.adapters import load_model
from bitcliff.audit import AssessSettings
from bitcliff.export import float_onnx
from bitcliff.run.assess_job import AssessJob, Listener, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.guard_job import GuardJob, run_guard
from bitcliff.run.isolate_job import IsolateJob, run_isolate
from bitcliff.run.provoke_job import ProvokeJob, run_provoke, run_universal
from bitcliff.run.verify_job import VerifyJob, run_verify
from bitcliff.types.guard import GuardSettings
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format, preset
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.settings import (
    CorruptionSettings,
    IsolationSettings,
    LengthSettings,
    ProvokeSettings,
)
from tests.adapters.onnx.networks import images, small
from tests.small_networks import chain

QUIET = Listener(lambda _text: None, lambda _plan: None, lambda *_step: None)
LEAST = AssessSettings(
    bits=(2, 3, 4, 5), budgets=(3.5,), uniform=(2,), rounds=1, exchanges=1, evaluations=2, draws=2,
    include_stem=False,
)  # fmt: skip
COARSE = Format(
    activations=Numerics(element="int4", group="token", scale="amax", divisor=7),
    weights=Numerics(element="int4", group="batch", scale="amax", divisor=7),
)


def network() -> nn.Module:
    """Four points, which few bits hurt."""
    return chain(0, points=4, width=10)


def with_batchnorm() -> nn.Module:
    """For images, with something to fold."""
    return small()


def of_sounds() -> nn.Module:
    """Of any length: four points."""
    torch.manual_seed(0)
    first = nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 6, 5, padding=2), nn.ReLU()
    then = nn.Conv1d(6, 6, 3), nn.ReLU(), nn.Conv1d(6, 6, 3), nn.ReLU()
    return nn.Sequential(*first, *then, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 4))


def _job(out: Path, factory: str, x: torch.Tensor, labelled: bool = True) -> AssessJob:
    """On labels that the network gives itself, but for every fourth."""
    model = load_model(f"py:{__name__}:{factory}").module
    y = model(x).argmax(1)
    y[::4] = (y[::4] + 1) % 2
    data = out.with_suffix(".npz")
    np.savez(data, x=x.numpy(), **({"y": y.numpy()} if labelled else {}))
    return AssessJob(f"py:{__name__}:{factory}", str(data), out, "bitcliff ...", settings=LEAST)


def _chain(out: Path, labelled: bool = True) -> AssessJob:
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    return _job(out, "network", x, labelled)


def labelled(out: Path) -> None:
    run_assess(_chain(out), QUIET)


def unlabelled(out: Path) -> None:
    run_assess(_chain(out, labelled=False), QUIET)


def in_a_runtime_and_folded(out: Path) -> None:
    job = _job(out, "with_batchnorm", images(10))
    settings = job.settings.changed(fold_batchnorm=True)
    run_assess(replace(job, runtimes=(RuntimeChoice("torch-dynamic"),), settings=settings), QUIET)


def mixed(out: Path) -> None:
    """Two formats of equal cost among three."""
    settings = AssessSettings(
        options=("coarse", "ct-int8-token", "vllm-int8-token"),
        formats={"coarse": COARSE},
        budgets=(5.6,),
        rounds=1,
        exchanges=1,
        draws=2,
    )
    run_assess(replace(_chain(out), settings=settings), QUIET)


def compared(out: Path) -> None:
    """A format that a batch shares against one that it does not, layer by layer."""
    job = _chain(out)
    names = ("ort-uint8", "vllm-int8-token")
    settings = job.settings.changed(budgets=(), numerics=names, compared=names)
    run_assess(replace(job, settings=settings), QUIET)


def verified(out: Path) -> None:
    labelled(out)
    run_verify(VerifyJob(out), QUIET)


def explained(out: Path) -> None:
    """The planted case, every question answered."""
    settings = LEAST.changed(bits=(3, 5, 8), budgets=(5.5,), uniform=(5,), evaluations=0, draws=1)
    run_assess(AssessJob("brittle-digits", "digits", out, "", limit=8, settings=settings), QUIET)
    corrupting = CorruptionSettings(degrees=(5,), seeds=1, examples=4)
    policies = ("worst-5.5", "uniform-5")
    run_explain(ExplainJob(out, policies, n_train=6, corrupting=corrupting), QUIET)


def format_explained(out: Path) -> None:
    """A coarse format: its layers kept in float one by one, and what would lose less."""
    settings = LEAST.changed(budgets=(), numerics=("coarse",), formats={"coarse": COARSE})
    run_assess(replace(_chain(out), settings=settings), QUIET)
    run_explain(ExplainJob(out, questions=("layers", "variants")), QUIET)


def padded(out: Path) -> None:
    """What silence behind a sound changes."""
    sounds = torch.randn(10, 16, generator=torch.Generator().manual_seed(0))
    sounds[:5, 10:] = 0
    run_assess(_job(out, "of_sounds", sounds), QUIET)
    asked = ExplainJob(out, questions=("lengths",), lengths=LengthSettings(lengths=(12, 20)))
    run_explain(asked, QUIET)


def black_box(out: Path) -> None:
    file = out.with_suffix(".onnx")
    file.write_bytes(float_onnx(load_model("base-digits").module, torch.randn(2, 1, 8, 8)))
    job = AssessJob(str(file), "digits", out, "", limit=8, settings=LEAST)
    run_assess(replace(job, runtimes=(RuntimeChoice("ort-dynamic"),), black_box=True), QUIET)


def beside_companions(out: Path) -> None:
    what = AssessJob("brittle-digits", "digits", out, command="bitcliff ...", limit=4)
    settings = IsolationSettings(batch=2, draws=2, candidates=2, effort=2)
    run_isolate(IsolateJob(what, settings=settings), QUIET)


def not_proved(out: Path) -> None:
    """A format that shares a scale, so that there is both: what was followed, and victims."""
    what = replace(_chain(out), limit=4)
    settings = IsolationSettings(batch=2, draws=2, candidates=2, effort=2)
    run_isolate(
        IsolateJob(what, numerics=("ort-uint8", preset("ort-uint8")), settings=settings), QUIET
    )


def guarded(out: Path) -> None:
    what = AssessJob("brittle-digits", "digits", out, command="bitcliff ...", limit=60)
    settings = GuardSettings(bits=5, alpha=0.1, delta=0.2)
    run_guard(GuardJob(what, settings=settings), QUIET)


# What rounds convolutions too.
EVERYWHERE = COARSE.model_copy(
    update={
        "activations": Numerics(element="uint4", group="example", scale="minmax-zero"),
        "everywhere": True,
    }
)


def provoked(out: Path) -> None:
    what = AssessJob("base-digits", "digits", out, command="bitcliff ...", limit=4)
    pool = out.with_suffix(".pool.npz")
    np.savez(pool, x=np.random.default_rng(0).random((80, 1, 8, 8), np.float32) ** 4)
    within = ("linf:24/255", "corruption:2", f"data:{pool}")
    settings = ProvokeSettings(within=within, effort=24, delta=0.05)
    run_provoke(ProvokeJob(what, "four", EVERYWHERE, settings=settings), QUIET)


def scanned(out: Path) -> None:
    what = AssessJob("base-digits", "digits", out, command="bitcliff ...", limit=30)
    settings = ProvokeSettings(universal=True, within=("patch:3",), target=(1, 3, 5, 7), effort=8)
    run_universal(ProvokeJob(what, "four", EVERYWHERE, settings=settings), QUIET)


RUNS: dict[str, Callable[[Path], None]] = {
    make.__name__: make
    for make in (
        labelled,
        unlabelled,
        in_a_runtime_and_folded,
        mixed,
        compared,
        verified,
        explained,
        format_explained,
        padded,
        black_box,
        guarded,
        provoked,
        scanned,
        beside_companions,
        not_proved,
    )
}
