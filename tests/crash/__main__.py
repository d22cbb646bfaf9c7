"""Is training whole after a kill at any moment, and after a disk that fails at any moment?

`make test-crash`, or `python -m tests.crash [--kills N] [--every N]`. The command that is killed is
`bitcliff train pair`, by its real entry point. Every disturbed run must go on with --resume to the
same bytes in every result. Prints what was done; ends with an error at the first difference.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.command import Command, finish
from tests.crash.trace import Call, calls, spoilt

KILL, STOP = "signal=KILL", "signal=TERM"
# What the system says of a broken disk; of a full one elsewhere.
BROKEN = ("fsync", "ftruncate", "unlink", "unlinkat")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="at random moments")
    parser.add_argument("--every", type=int, default=1, help="spoil every N-th call only")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bitcliff-crash-") as folder:
        command = Command(Path(folder))
        random_kills(command, asked.kills)
        for begin in (None, half_way(command)):
            command.begin = begin
            each_call(command, asked.every)


def random_kills(command: Command, kills: int) -> None:
    """SIGKILL in the middle of whatever it was; those that got to the end begin again."""
    rng, done, ended, torn = random.Random(0), 0, 0, 0
    began = time.monotonic()
    command.clear()
    command.finish()
    length = time.monotonic() - began
    while done < kills:
        child = command.start()
        time.sleep(rng.uniform(0, 0.6 * length))  # far enough to get on, mostly not to the end
        os.kill(child, signal.SIGKILL)
        code = finish(child)
        if code == 0:
            ended += 1
            command.check_results()
            command.clear()
            continue
        assert code == -signal.SIGKILL, command.log.read_text()
        done += 1
        torn += bool(list(command.out.rglob("*.tmp")))
        command.newest()
    command.finish()
    command.check_results()
    say(f"{done} kills at random moments, {torn} in the middle of a write", began)
    say(f"  {ended + 1} runs came to their end, all with the same bytes", began)


def half_way(command: Command) -> Path:
    """A folder killed after an epoch of the second network is told and before it is saved."""
    command.clear()
    call = next(c for c in calls(command) if "brittle/checkpoints/.step-000000003" in c.line)
    command.clear()
    assert spoilt(command, call, KILL) == -signal.SIGKILL
    return command.out.rename(command.folder / "half")


def each_call(command: Command, every: int) -> None:
    """A run for each call on the folder that is killed there, that is stopped, and that fails."""
    command.clear()
    found = calls(command)
    where = "a new run" if command.begin is None else "a resumed run"
    say(f"{where} makes {len(found)} calls: {dict(Counter(call.name for call in found))}")
    for name, check in (("SIGKILL", killed), ("SIGTERM", stopped), ("an error", failed)):
        began, codes = time.monotonic(), Counter[int]()
        for call in found[::every]:
            command.clear()
            try:
                codes[check(command, call)] += 1
                command.finish()
                command.check_results()
            except BaseException as error:
                error.add_note(f"{name} at {call}\n{command.log.read_text()}")
                raise
        say(f"  {name} at {codes.total()} of them: exit codes {dict(codes)}", began)


def killed(command: Command, call: Call) -> int:
    """Every checkpoint that was whole is."""
    code = spoilt(command, call, KILL)
    assert code == -signal.SIGKILL
    assert command.newest() == call.newest, command.newest()
    return code


def stopped(command: Command, call: Call) -> int:
    """The same, and whatever step was under way may be saved as well."""
    code = spoilt(command, call, STOP)
    assert code == 128 + signal.SIGTERM
    steps = command.newest()
    assert all(steps[aim] >= step for aim, step in call.newest.items()), steps
    return code


def failed(command: Command, call: Call) -> int:
    """One line and exit code 2, unless the call was not needed; the last checkpoint is whole."""
    code = spoilt(command, call, "error=EIO" if call.name in BROKEN else "error=ENOSPC")
    told = command.log.read_text()
    if code == 0:
        return code
    assert code == 2
    assert told.splitlines()[-1].startswith("bitcliff: error: ")
    assert told.count("bitcliff: error: ") == 1
    assert "internal error" not in told
    assert "Traceback" not in told
    assert command.newest() == call.newest, command.newest()
    return code


def say(text: str, began: float | None = None) -> None:
    print(text + (f" ({time.monotonic() - began:.0f} s)" if began else ""), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
