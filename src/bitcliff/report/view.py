"""What the page says, worked out from the record; the template only lays it out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bitcliff.record import ClassRate, PolicyResult, Provenance, Record, SubjectInfo
from bitcliff.record.conditions import SEARCHED
from bitcliff.report.basis import final_note, folding_note
from bitcliff.report.drawings import Squares, squares
from bitcliff.report.finding import Finding
from bitcliff.report.formatting import (
    NOTHING,
    capital,
    class_name,
    clean,
    count_text,
    family_order,
    mean_text,
    noun,
    rate_interval,
)
from bitcliff.report.nudge_stability import nudged_sentence
from bitcliff.types.rate import Rate
from bitcliff.types.settings import COST_UNIT, AssessSettings
from bitcliff.verdict import Verdict


@dataclass(frozen=True)
class Card:
    """One big number of the first screen."""

    title: str
    big: str
    of: str
    note: str
    squares: Squares | None
    kind: str


def split_sentence(verdict: Verdict) -> tuple[str, str]:
    """ "Fails" and the rest of the sentence, its first letter made large."""
    opening, _, rest = verdict.sentence.partition(": ")
    rest = clean(rest, 1000)
    return opening, capital(rest)


def cards(record: Record, finding: Finding) -> list[Card]:
    """Float, evenly, at random, by an adversary: as many of the four as were measured."""
    labelled = record.subject.labelled
    right = "right" if labelled else "as in float"
    mean = mean_text(finding.mean)
    found = []
    if labelled:
        found.append(_card("Float: nothing rounded", finding.float_rate, right, "float"))
    if finding.even is not None and finding.even_rate is not None:
        even = mean_text(finding.even.mean_bits)
        found.append(
            _card(f"{even} bits a layer, allocated evenly", finding.even_rate, right, "even")
        )
    if finding.random_rate is not None:
        found.append(_random_card(finding, finding.random_rate, right))
    if finding.worst is not None and finding.worst_rate is not None:
        title = (
            "The same, allocated badly"
            if _equal(finding)
            else f"{mean} bits a layer, allocated badly"
        )
        # The warning colour is for what is lost, not for the word "worst".
        kind = "worst" if finding.worst_lost else "float"
        found.append(_card(title, finding.worst_rate, right, kind))
    if finding.runtime is not None and finding.runtime_rate is not None:
        kind = "worst" if finding.runtime_rate.k < finding.float_rate.k else "even"
        title = f"Quantized by {clean(finding.runtime.name, 40)}"
        found.append(_card(title, finding.runtime_rate, right, kind))
    for title, rate in finding.compared:
        found.append(_card(title, rate, right if labelled else "decided alike", "even"))
    return found


def _equal(finding: Finding) -> bool:
    """The even policy is there, and spends what the others spend."""
    return finding.even is not None and not finding.cheaper


def _card(title: str, rate: Rate, right: str, kind: str) -> Card:
    note = f"95 % interval {rate_interval(rate)}" if rate.n else "nothing measured"
    return Card(title, str(rate.k), f"of {rate.n} {right}", note, squares(rate), kind)


def _random_card(finding: Finding, rate: Rate, right: str) -> Card:
    title = "The same, allocated at random"
    if not _equal(finding):
        title = f"{mean_text(finding.mean)} bits a layer, at random"
    card = _card(title, rate, right, "random")
    counts = finding.random_draws
    if not counts:
        return card
    note = f"median of {len(counts)} draws, {min(counts)} to {max(counts)}"
    return replace(card, note=note)


def meaning(record: Record, finding: Finding) -> list[str]:
    """What it means, for a reader who has never heard of quantization."""
    if record.subject.black_box:
        return [
            "Quantization computes with fewer bits for each number inside a network, to make it "
            "faster and smaller. This network was not looked inside: what it answers in float and "
            "what it answers when a runtime has quantized it were compared.",
            finding.loss,
        ]
    points = sum(point.quantized for point in record.subject.points)
    texts = [
        "Quantization computes with fewer bits for each number inside a network, to make it "
        f"faster and smaller. This network has {points} quantization points, where that happens"
        + (
            f", and every {noun(record, 1)} may use the same total: "
            f"{mean_text(finding.mean)} bits on average at each."
            if finding.mean is not None
            else "."
        )
    ]
    texts.append(_meaning_of_loss(finding))
    if finding.worst is not None:
        texts.append(
            "The worst case is the worst that was found, not the worst there is: "
            "a longer search may find worse."
        )
        if nudged := nudged_sentence(record, finding.worst):
            texts.append(nudged)
    return texts


def _meaning_of_loss(finding: Finding) -> str:
    even, worst = finding.even_rate, finding.worst_rate
    if even is None or worst is None or worst.k >= even.k:
        return finding.loss
    if finding.cheaper:
        return f"{finding.loss} Fewer bits, placed well, do better here than more of them."
    return (
        f"{finding.loss} The network’s weights are the same in both cases; only the points "
        "where bits are saved differ. The average number of bits alone does not say "
        "whether this network can be trusted."
    )


def facts(record: Record) -> str:
    """The line under the headline: model, data, how many, when."""
    subject = record.subject
    several = noun(record, subject.n_examples)
    sampled = (
        f"{count_text(subject.n_examples)} of {count_text(subject.n_available)} {several}, "
        "drawn by seed"
        if subject.n_examples < subject.n_available
        else f"{count_text(subject.n_examples)} {several}"
    )
    labels = "" if subject.labelled else ", without labels"
    return f"{sampled}{labels} · {when(record.provenance)}"


def when(provenance: Provenance) -> str:
    """Day and time of the start, and how long the run took, where the stamps can be read."""
    try:
        start = datetime.fromisoformat(provenance.started)
        seconds = round((datetime.fromisoformat(provenance.finished) - start).total_seconds())
    except (ValueError, TypeError):
        return clean(provenance.started)
    took = f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
    return f"{start.day} {start:%B %Y, %H:%M %Z}".rstrip() + f" · took {took}"


def mean_bits_at(record: Record, finding: Finding) -> dict[str, float]:
    """By a point's name, the bits that the worst case leaves it on average; empty without one."""
    if finding.worst is None:
        return {}
    bits = record.outcomes[finding.worst.name].every_bits()
    if bits is None or not len(bits):
        return {}
    names = (point.name for point in record.subject.points if point.quantized)
    return dict(zip(names, map(float, bits.mean(0)), strict=True))


@dataclass(frozen=True)
class MixShown:
    """A plan of formats that was found: its condition's name, and the format by a point's name."""

    name: str
    formats: dict[str, str]


def mixes_found(record: Record) -> list[MixShown]:
    """The plans of formats that were searched for."""
    names = [point.name for point in record.subject.points if point.quantized]
    return [
        MixShown(one.name, dict(zip(names, one.plan, strict=True)))
        for one in record.policies
        if one.plan is not None and one.kind in SEARCHED
    ]


def settings_lines(record: Record) -> list[tuple[str, str]]:
    """What was asked for, in words; of a simulation only where there was one."""
    asked = record.settings
    if record.subject.black_box:
        return [
            ("Batch size", str(asked.batch_size)),
            *_data_lines(record),
        ]
    names = dict.fromkeys((*asked.numerics, *asked.mix))
    formats = [f"{clean(name)}: {asked.format_of(name).formula}" for name in names]
    simulated = asked.explores_bits
    return [
        *(("Numerics", text) for text in formats),
        *(_allocation_lines(asked) if simulated else ()),
        *(_mix_lines(asked) if asked.options else ()),
        ("BatchNorm", folding_note(record) or "as the network has it"),
        ("Places", f"{asked.points} of layers; stem {'in' if asked.include_stem else 'left out'}"),
        ("Included, excluded", f"{_patterns(asked.include)}; {_patterns(asked.exclude)}"),
        ("Kept in float by the plan", _patterns(asked.in_float)),
        *(_search_lines(asked) if simulated else ()),
        ("Margin measured against", "the float prediction"
         if asked.margin == "prediction" else "the label"),
        *((("Last activation", note),) if (note := final_note(record)) else ()),
        ("Batch size", str(asked.batch_size)),
        *_data_lines(record),
    ]  # fmt: skip


def _allocation_lines(asked: AssessSettings) -> list[tuple[str, str]]:
    weights = "kept in float" if asked.weight_bits is None else f"{asked.weight_bits} bits, "
    if asked.weight_bits is not None:
        weights += "per output channel" if asked.per_channel else "one scale a tensor"
    return [
        ("Bits allowed at each point", ", ".join(str(bits) for bits in asked.bits)),
        ("Mean bits that were tried", ", ".join(mean_text(mean) for mean in asked.budgets)),
        ("Even allocations, bits", ", ".join(str(bits) for bits in asked.uniform) or "none"),
        ("Quantizer", clean(asked.scheme)),
        ("Weights", weights),
    ]


def _mix_lines(asked: AssessSettings) -> list[tuple[str, str]]:
    costs = (f"{clean(name)} {cost / COST_UNIT:g}" for name, cost in asked.mix.items())
    return [
        ("Formats mixed, bits a value", ", ".join(costs)),
        ("Mean bits that were tried", ", ".join(mean_text(mean) for mean in asked.budgets)),
        ("Random draws", str(asked.draws)),
        ("Search", f"{asked.rounds} rounds, {count_text(asked.exchanges)} exchanges"),
    ]


def _search_lines(asked: AssessSettings) -> list[tuple[str, str]]:
    floors = ", ".join(f"{clean(name)} {bits}" for name, bits in asked.floors.items())
    return [
        ("Bits a point gets at least", floors or "none"),
        ("Who allocates the bits", "the runtime, at random" if asked.randomised else "anybody"),
        ("Random draws", str(asked.draws)),
        ("Search", f"{asked.rounds} rounds, {count_text(asked.exchanges)} exchanges; "
         f"evolution {count_text(asked.evaluations)} evaluations"),
    ]  # fmt: skip


def _data_lines(record: Record) -> list[tuple[str, str]]:
    about = record.subject
    lines = [("Preprocessing", about.preprocessing), ("Labels", about.labelling)]
    return [(what, clean(words, 300)) for what, words in lines if words]


def _patterns(patterns: Sequence[str]) -> str:
    return ", ".join(clean(pattern) for pattern in patterns) or "none"


def provenance_lines(source: Provenance, schema_version: str) -> list[tuple[str, str]]:
    """Versions, seed and hashes: enough to make the numbers again."""
    packages = ", ".join(
        f"{clean(name, 60)} {clean(version, 40)}" for name, version in source.packages.items()
    )
    return [
        ("Bitcliff", clean(source.bitcliff)),
        ("Revision", clean(source.revision or "not known")),
        ("Python", clean(source.python)),
        ("Packages", packages),
        ("Seed", str(source.seed)),
        ("Weights, SHA-256", clean(source.weights_sha256)),
        ("Data, SHA-256", clean(source.data_sha256)),
        ("Machine", f"{clean(source.platform)}, {source.threads} threads"),
        ("Processor flags", clean(" ".join(source.cpu_flags), 2000)),
        ("Record's schema", schema_version),
    ]  # fmt: skip


def searched(record: Record) -> list[PolicyResult]:
    """Every policy whose bits were searched for, in the report's order."""
    return sorted((p for p in record.policies if p.kind in SEARCHED), key=family_order)


def worst_class_text(subject: SubjectInfo, worst: ClassRate | None) -> str:
    """The class that fares worst, by name: "bull mastiff (243): 0/1"."""
    if worst is None:
        return NOTHING
    return f"{class_name(subject, worst.label)}: {worst.accuracy.k}/{worst.accuracy.n}"
