"""What is counted and measured of a task's outcomes, in words."""

from bitcliff.record.schema import SubjectInfo

_WHOLE = {
    "detection": "all boxes",
    "ctc": "the whole string",
    "continuation": "the whole text",
    "span": "the whole answer",
    "labels": "all labels",
    "values": "all numbers",
    "embedding": "the nearest neighbour",
}
_SCORES = {
    "detection": "F1 of boxes",
    "positions": "share of positions",
    "iou": "mean IoU",
    "continuation": "tokens kept",
    "ctc": "symbols right",
    "span": "F1 of tokens",
    "labels": "share of labels",
    "values": "share of numbers",
    "embedding": "cosine with float’s own",
    "verification": "cosine with float’s own",
}


def whole_outcome(subject: SubjectInfo) -> str:
    """What an example must have as it is wanted in order to count; empty where that is a class."""
    name, _, told = subject.task.partition(":")
    if name in ("positions", "iou"):
        most = float(told or 0)
        return f"{100 * (1 - most):g} % of positions or more" if most else "every position"
    if name == "embedding" and told and "=" not in told:
        return f"a cosine of {told} or more"
    return _WHOLE.get(name, "")


def measured(subject: SubjectInfo) -> str:
    """What a share of the examples is called, in tables and plots."""
    if not subject.labelled:
        return "Agreement with float"
    return "Share as labelled" if whole_outcome(subject) else "Accuracy"


def scored_by(subject: SubjectInfo) -> str:
    """What of an outcome that is no single choice its score is."""
    if subject.by_words:
        return "words right"
    otherwise = "as labelled" if subject.labelled else "as in float"
    return _SCORES.get(subject.task.partition(":")[0], otherwise)


def score_drops(subject: SubjectInfo) -> tuple[str, bool]:
    """What is worse where a mean score falls, and whether it then rises, as error rates do."""
    name = subject.task.partition(":")[0]
    if subject.by_words or name == "ctc":
        return f"the mean {'word' if subject.by_words else 'symbol'} error rate", True
    if name in _SCORES:
        found = _SCORES[name]
        return f"the {found}" if found.startswith("mean") else f"the mean {found}", False
    return "the mean score", False
