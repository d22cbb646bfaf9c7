"""The examples at risk: what broke each of them, and how the bits lay."""

from collections.abc import Iterator
from dataclasses import dataclass

from bitcliff.record import ExampleRow, Outcome, PolicyResult, Record
from bitcliff.report.differing import Pieces, differing
from bitcliff.report.drawings import bit_strip, bit_words, data_uri
from bitcliff.report.formatting import NOTHING, class_name, clean, family_order, mean_text
from bitcliff.report.nudge_stability import count_stays
from bitcliff.report.thumbnails import safe_thumbnail
from bitcliff.report.waveform import drawn_waveform

SHOWN = 12
LISTED = 100
# Characters of a text.
_LONGEST = 600


@dataclass(frozen=True)
class AtRisk:
    """One example that a worst case flips, with the allocation that broke it deepest.

    `float_prediction` and `prediction` are names of classes, or texts with the words that differ.
    `wave` is an `<svg>` of a sound, safe as it is.
    `wavers` says in how many repeats the flip stays, where that is not all of them; else empty.
    """

    id: str
    thumbnail: str | None
    text: str | None
    label: str | None
    float_prediction: Pieces
    prediction: Pieces
    policy: str
    mean: str
    margin: str
    wavers: str
    strip: str | None
    strip_words: str
    is_said: bool = False
    wave: str | None = None


def changed_by(record: Record) -> str:
    """Who changes the answers of the examples at risk, by what was measured."""
    by = []
    if any(policy.threat == "allocation" for policy in record.policies):
        by.append("an adversary who allocates the same bits")
    if any(policy.kind == "runtime" for policy in record.policies):
        by.append("a runtime")
    if any(policy.kind == "numerics" for policy in record.policies):
        by.append("a shipped format")
    return " or by ".join(by) or "an adversary who allocates the same bits"


def at_risk_cards(record: Record) -> list[AtRisk]:
    """Of the first twelve of the record's list."""
    cards = []
    for row in _at_risk(record, SHOWN):
        broken = _deepest(record, row)
        if broken is not None:
            cards.append(_card(record, row, *broken))
    return cards


def _at_risk(record: Record, most: int | None = None) -> Iterator[ExampleRow]:
    """The first of the record's list, in its order: worst margin first; None: all."""
    places = {name: place for place, name in enumerate(record.table.ids)}
    return (record.examples[places[name]] for name in record.at_risk[:most])


@dataclass(frozen=True)
class ByFormat:
    """Examples that a format or runtime decides otherwise than float: which of them, and how.

    Attributes:
        names: of the formats and runtimes. rows: an example, its answer in float, and each one's
            where it is another, worst margin first. total: of such examples; `LISTED` are in rows.
    """

    names: list[str]
    rows: list[list[str]]
    total: int


def by_format(record: Record) -> ByFormat | None:
    """None where fewer than two formats or runtimes were measured, or none changes anything."""
    names = [policy.name for policy in record.policies if policy.deployed]
    every = ((row, [_flipped(row, name) for name in names]) for row in _at_risk(record))
    changed = [(row, found) for row, found in every if any(found)]
    if len(names) < 2 or not changed:
        return None
    rows = [
        [clean(row.id, 80), _decided_as_text(record, row, None)]
        + [_decided_as_text(record, row, one) if one else NOTHING for one in found]
        for row, found in changed[:LISTED]
    ]
    return ByFormat([clean(name) for name in names], rows, len(changed))


def _flipped(row: ExampleRow, name: str) -> Outcome | None:
    outcome = row.outcomes.get(name)
    same = outcome is None or outcome.prediction in (None, row.before(outcome))
    return None if same else outcome


def _decided_as_text(record: Record, row: ExampleRow, outcome: Outcome | None) -> str:
    """In a table's cell; None: in float."""
    said = row.said if outcome is None else outcome.said
    prediction = row.float_prediction if outcome is None else outcome.prediction
    return class_name(record.subject, prediction) if said is None else clean(said, 160)


def _deepest(record: Record, row: ExampleRow) -> tuple[PolicyResult, Outcome] | None:
    every = ((policy, _flipped(row, policy.name)) for policy in record.policies)
    flipped = [(policy, outcome) for policy, outcome in every if outcome is not None]
    certain = [pair for pair in flipped if pair[0].by_adversary]

    def depth(pair: tuple[PolicyResult, Outcome]) -> tuple[float, int]:
        policy, outcome = pair
        return (0.0 if outcome.margin is None else outcome.margin), family_order(policy)

    return min(certain or flipped, key=depth, default=None)


def _card(record: Record, row: ExampleRow, policy: PolicyResult, outcome: Outcome) -> AtRisk:
    points = [clean(point.name) for point in record.subject.points if point.quantized]
    bits = outcome.bits
    highest = max(record.settings.bits, default=8)
    before, now = _decided(record, row, outcome)
    return AtRisk(
        id=clean(row.id, 80),
        thumbnail=safe_thumbnail(row.thumbnail),
        text=None if row.text is None else clean(row.text, 240),
        label=_label(record, row),
        float_prediction=before,
        prediction=now,
        policy=clean(policy.name),
        mean=mean_text(policy.mean_bits),
        margin="not recorded"
        if outcome.margin is None
        else f"{outcome.margin:+.2f}".replace("-", "−"),
        wavers=_wavers(row, outcome),
        strip=data_uri(bit_strip(bits, highest)) if bits else None,
        strip_words=bit_words(bits, points) if bits else "bits not recorded",
        is_said=outcome.said is not None,
        wave=None if row.wave is None else drawn_waveform(row.wave),
    )


def _label(record: Record, row: ExampleRow) -> str | None:
    if row.wanted is not None:
        return clean(row.wanted, _LONGEST)
    return None if row.label is None else class_name(record.subject, row.label)


def _decided(record: Record, row: ExampleRow, outcome: Outcome) -> tuple[Pieces, Pieces]:
    """In float and quantized: texts, with the words that differ, or names."""
    if row.said is not None and outcome.said is not None:
        return differing(clean(row.said, _LONGEST), clean(outcome.said, _LONGEST))
    names = (row.float_prediction, outcome.prediction)
    before, now = (class_name(record.subject, one) for one in names)
    return [(before, False)], [(now, False)]


def _wavers(row: ExampleRow, outcome: Outcome) -> str:
    stays = count_stays(row, outcome)
    if stays is None or stays[0] == stays[1]:
        return ""
    return f"flip stays in {stays[0]} of {stays[1]} repeats"
