"""The verdict where people look for it: a pull request, code scanning, a model's card."""

import json
from typing import Any

import yaml

from bitcliff.record import PolicyResult, Record
from bitcliff.record.decisions import score_drops, scored_by, whole_outcome
from bitcliff.report.formatting import capital, clean, mean_score, rate_text
from bitcliff.verdict import Judgement, Verdict

_MARKS = {"pass": "✅ passes", "fail": "❌ fails", "inconclusive": "⚠️ inconclusive"}
# An inconclusive run must not look harmless: a warning would let the build pass.
_LEVELS = {"pass": "none", "fail": "error", "inconclusive": "error"}
_SARIF = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_TASKS = {"classification": "image-classification", "next-token": "text-generation"}


def render_markdown(record: Record, verdict: Verdict, warnings: list[str]) -> str:
    """A summary for a pull request: the verdict, a row for each policy judged, what to know."""
    scored, subject = verdict.of_scores, record.subject
    decided = "As wanted" if whole_outcome(subject) else "Right"
    measured = f"Of each {scored_by(subject)}" if scored else decided
    lines = [
        f"### Quantization: {_MARKS[verdict.status]}",
        "",
        _escaped(verdict.sentence),
        "",
        f"| Policy | Verdict | {measured} | Drop, points (95 % interval) |",
        "|---|---|---|---|",
        *(_row(record, one, scored) for one in verdict.judgements),
        "",
        *(f"> Warning: {_escaped(one)}" for one in warnings),
        f"{_escaped(record.subject.model)} on {_escaped(record.subject.data)}, "
        f"{record.subject.n_examples} examples; weights {record.provenance.weights_sha256[:12]}.",
    ]
    return "\n".join(lines) + "\n"


def _row(record: Record, one: Judgement, scored: bool) -> str:
    policy = record.by_name.get(one.policy)
    right = "–" if policy is None else rate_text(policy.accuracy or policy.agreement)
    if scored and policy is not None:
        right = mean_score(policy.score)
    drop = "–"
    if one.drop_pp is not None and one.low is not None and one.high is not None:
        drop = f"{one.drop_pp:.1f} ({one.low:.1f} to {one.high:.1f})"
    return f"| {_escaped(one.policy)} | {_MARKS[one.status]} | {right} | {drop} |"


def _escaped(text: str) -> str:
    """Names come from files: none may end a cell, begin a link or be read as HTML."""
    shown = clean(text, 1000)
    return "".join(f"\\{one}" if one in r"\`*_[]|<>#" else one for one in shown)


def render_sarif(record: Record, verdict: Verdict, version: str) -> str:
    """SARIF 2.1.0, which code scanning reads: a result for each policy judged that does not pass,
    and one for a run that does not although each of them does."""
    cases = list(verdict.judgements)
    if all(one.status == "pass" for one in cases):
        cases = [Judgement("whole run", verdict.status, None, None, None, verdict.sentence)]
    what = "Accuracy that quantization may cost"
    if verdict.of_scores:
        what = f"{capital(score_drops(record.subject)[0])} and what quantization may cost of it"
    rule = {
        "id": "quantization-drop",
        "shortDescription": {"text": what},
        "fullDescription": {"text": "The 95 % interval of the drop against the limit."},
    }
    results = [
        {
            "ruleId": rule["id"],
            "level": _LEVELS[one.status],
            "kind": "pass" if one.status == "pass" else "fail",
            "message": {"text": clean(one.sentence, 1000)},
            "partialFingerprints": {"policy": clean(one.policy)},
            "locations": [
                {"logicalLocations": [{"name": clean(record.subject.model), "kind": "module"}]}
            ],
        }
        for one in cases
    ]
    driver = {"name": "Bitcliff", "version": version, "rules": [rule]}
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"version": "2.1.0", "$schema": _SARIF, "runs": [run]}, indent=2) + "\n"


def render_model_card(record: Record) -> str:
    """The `model-index` block of a Hugging Face model card: float, and each judged-alike policy."""
    subject = record.subject
    kind = "accuracy" if subject.labelled else "agreement"
    metrics = [] if record.float_.accuracy is None else [_metric(kind, "float", record.float_)]
    metrics += [_metric(kind, policy.name, policy) for policy in record.policies]
    result = {
        "task": {"type": _TASKS.get(subject.task, "other"), "name": subject.task},
        "dataset": {"type": clean(subject.data), "name": clean(subject.data)},
        "metrics": metrics,
    }
    block = {"model-index": [{"name": clean(subject.model), "results": [result]}]}
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True)


def _metric(kind: str, name: str, found: Any) -> dict[str, Any]:
    rate = found.accuracy
    if rate is None and isinstance(found, PolicyResult):
        rate = found.agreement
    return {
        "type": kind,
        "name": f"{kind}, {clean(name)} (95 % interval {rate.low:.4f} to {rate.high:.4f})",
        "value": round(rate.value, 4),
    }
