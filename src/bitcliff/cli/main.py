"""`bitcliff`: the group of commands, and what every error becomes.

Exit codes: 0 pass, 1 the gate failed, 2 usage or bad input, 3 inconclusive. The commands import
what they need when they run, so that `--help` answers at once.
"""

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import click

from bitcliff.cli.assess import assess
from bitcliff.cli.diff import diff
from bitcliff.cli.explain import explain
from bitcliff.cli.export import export
from bitcliff.cli.guard import guard
from bitcliff.cli.isolate import batchmates, isolate
from bitcliff.cli.memory import keep_memory
from bitcliff.cli.numerics import numerics
from bitcliff.cli.output import discard_stdout
from bitcliff.cli.provoke import provoke
from bitcliff.cli.runs import runs
from bitcliff.cli.stored import gate, report
from bitcliff.cli.sweep import sweep
from bitcliff.cli.train import train
from bitcliff.cli.verify import verify

USAGE_ERROR = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bitcliff")
def commands() -> None:
    """Find where dynamic post-training quantization makes a network fall off a cliff.

    Exit codes: 0 pass, 1 the gate failed, 2 usage or bad input, 3 inconclusive.
    """


commands.add_command(assess)
commands.add_command(batchmates)
commands.add_command(diff)
commands.add_command(explain)
commands.add_command(export)
commands.add_command(gate)
commands.add_command(guard)
commands.add_command(isolate)
commands.add_command(numerics)
commands.add_command(provoke)
commands.add_command(report)
commands.add_command(runs)
commands.add_command(sweep)
commands.add_command(train)
commands.add_command(verify)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code; errors are one line on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names come from data; what the terminal cannot show must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    # Images are decoded by threads, in which nothing can be silenced.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    keep_memory()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code that `main` leaves with."""
    stdout = sys.stdout
    try:
        code = commands.main(
            args=None if arguments is None else list(arguments),
            prog_name="bitcliff",
            standalone_mode=False,
        )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return USAGE_ERROR
    except click.ClickException as error:
        return _fail(_with_hint(error))
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; the same command goes on from here", 130)
    except SystemExit as error:
        if sys.stdout is not stdout:  # click replaces it when the reader of its help goes away
            discard_stdout()
            return 0
        # Not ours: the model's own code, which must not be able to end a run as passed.
        return _fail(f"the model's own code ended the program (exit code {error.code!r})")
    except BrokenPipeError:
        discard_stdout()
        return USAGE_ERROR
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "; free some space and run the same command again" if full else ""
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}{advice}")
    except Exception as error:  # noqa: BLE001  (the last line of defence: no traceback, never exit 1)
        return _fail(_one_line(error))
    return code if isinstance(code, int) else 0


def _with_hint(error: click.ClickException) -> str:
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else None
    return f"{error.format_message()} (see {command} --help)" if command else error.format_message()


def _one_line(error: Exception) -> str:
    from bitcliff.errors import BitcliffError

    text = " ".join(str(error).split())
    if isinstance(error, BitcliffError):
        return text
    return f"internal error: {type(error).__name__}: {text} (BITCLIFF_DEBUG=1 shows where)"


def _fail(text: str, code: int = USAGE_ERROR) -> int:
    if os.environ.get("BITCLIFF_DEBUG"):
        traceback.print_exc()
    click.echo(f"bitcliff: error: {' '.join(text.split())}", err=True)
    return code
