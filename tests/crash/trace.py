"""The system calls a child makes on its run folder, and the same child with one of them spoilt.

strace is attached to a child that has stopped itself; it counts calls from there, so that the n-th
call of one run is the n-th call of the next.
"""

import os
import re
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass

from tests.crash.command import Command, finish

# Those that open or change files; a question mark where not every processor has the call.
CALLS = (
    "openat,?mkdir,mkdirat,write,pwrite64,fsync,ftruncate,"
    "?rename,renameat,?renameat2,?unlink,unlinkat"
)
_CHECKPOINT = re.compile(r'rename.*/(\w+)/checkpoints/step-(\d+)\.json"\) = 0$')


@dataclass(frozen=True)
class Call:
    """The `nth` call named `name`; `line` as strace shows it.

    `newest` is what `Command.newest` gives before it.
    """

    name: str
    nth: int
    line: str
    newest: dict[str, int]


def calls(command: Command) -> list[Call]:
    """All that a run, to its end, makes on its folder."""
    newest = command.newest()
    code, lines = _traced(command)
    assert code == 0, command.log.read_text()
    counts: Counter[str] = Counter()
    found = []
    for line in lines:
        name = line.split("(")[0]
        counts[name] += 1
        if str(command.out) in line:
            found.append(Call(name, counts[name], line, newest))
        if saved := _CHECKPOINT.search(line):
            newest = newest | {saved[1]: int(saved[2])}
    return found


def spoilt(command: Command, call: Call, effect: str) -> int:
    """The exit code of a run to whose one call strace does this: `signal=KILL`, `error=ENOSPC`."""
    code, lines = _traced(command, "-e", f"inject={call.name}:{effect}:when={call.nth}")
    hit = [line for line in lines if line.startswith(f"{call.name}(")][call.nth - 1]
    assert _asked(hit) == _asked(call.line), hit
    return code


def _asked(line: str) -> str:
    """A call without its result and the random part of temporary names."""
    return re.sub(r"\.[0-9a-f]{12}\.tmp", ".tmp", line.split(") ")[0].rstrip())


def _traced(command: Command, *options: str) -> tuple[int, list[str]]:
    """A run's exit code and its calls, one a line."""
    child, log = command.start(stopped=True), command.folder / "trace"
    os.waitpid(child, os.WUNTRACED)
    strace = ["strace", "-f", "-y", "-s", "0", "-e", "signal=none", "-e", f"trace={CALLS}"]
    tracer = subprocess.Popen(
        [*strace, *options, "-p", str(child), "-o", str(log)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    # Only now: what the child did before would not be counted.
    told = tracer.stderr.readline()
    assert "attached" in told, told
    os.kill(child, signal.SIGCONT)
    code = finish(child)
    tracer.communicate()
    return code, [line.split(maxsplit=1)[1] for line in log.read_text().splitlines() if "(" in line]
