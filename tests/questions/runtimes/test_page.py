"""What the report says of runtimes."""

from bitcliff.questions.runtimes.page import runtime_blocks
from bitcliff.questions.runtimes.record import Rung, RuntimeInfo, Seconds, Speed
from bitcliff.report.html import render_html
from bitcliff.report.risk import changed_by
from bitcliff.stats import rate
from bitcliff.verdict import judge
from tests.report.example_record import example_record


def _rung(name: str, changed: int | None, off: int, gap: float) -> Rung:
    return Rung(
        name=name,
        words=f"what {name} changes",
        changed=None if changed is None else rate(changed, 20),
        from_float=rate(off, 20),
        from_runtime=rate(off, 20),
        margin_gap=gap,
    )


def _runtime(**changes: object) -> RuntimeInfo:
    speed = Speed(
        batch_size=20,
        takes=7,
        quantized=Seconds(median=0.004, low=0.003, high=0.005),
        in_float=Seconds(median=0.002, low=0.001, high=0.003),
        simulation=Seconds(median=0.008, low=0.007, high=0.009),
    )
    info = RuntimeInfo(
        name="<b>ort",
        version="ort 1",
        description="as it ships",
        quantized={"Conv": 20, "MatMul": 1},
        in_float={},
        cpu_flags=[],
        speed=speed,
        ladder=[
            _rung("simulation", None, 4, 0.5),
            _rung("weights", 2, 3, 0.25),
            _rung("runtime", 3, 0, 0.0),
            _rung("batch", 1, 1, 0.1),
        ],
        left_out=["folded: no trace"],
    )
    return info.model_copy(update=changes)


def test_the_block_says_what_brings_the_simulation_nearer() -> None:
    record = example_record().model_copy(update={"runtimes": [_runtime()]})
    (block,) = runtime_blocks(record)
    assert block.integers == "20 Conv, 1 MatMul"
    assert block.in_float == "none"
    assert block.quantized == "4.00 (3.00–5.00)"
    assert block.ratio == "2.0 times as slow"
    assert block.processor.startswith("none: sums of 8-bit unsigned by signed products may")
    assert block.finding.startswith(
        "Simulated at 8 bits everywhere, 4 of 20 decisions are other than in <b>ort; with "
        "everything simulated that can be told apart, 3 of 20."
    )
    assert block.finding.endswith("Batches change 1 of 20 decisions.")
    assert [rung.name for rung in block.rungs] == [
        "Simulated here",
        "+ weights",
        "The runtime",
        "The runtime, in batches",
    ]
    assert block.rungs[0].changed == "–"
    assert block.left_out == ("folded: no trace",)


def test_a_network_that_was_not_looked_into_has_no_ladder() -> None:
    speed = _runtime().speed.model_copy(update={"simulation": None})
    runtime = _runtime(ladder=[], left_out=[], speed=speed)
    record = example_record().model_copy(update={"runtimes": [runtime]})
    (block,) = runtime_blocks(record)
    assert (block.finding, block.rungs, block.simulation) == ("", (), "–")


def test_the_page_escapes_what_a_runtime_calls_itself() -> None:
    record = example_record().model_copy(update={"runtimes": [_runtime()]})
    page = render_html(record, judge(record, 2.0))
    assert "&lt;b&gt;ort" in page
    assert "<b>ort" not in page
    assert changed_by(record) == "an adversary who spends the same bits or by a runtime"


def test_without_runtimes_the_page_does_not_speak_of_them() -> None:
    record = example_record()
    page = render_html(record, judge(record, 2.0))
    assert "What runtimes make of it" not in page
    assert changed_by(record) == "an adversary who spends the same bits"
