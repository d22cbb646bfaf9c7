"""Assesses each ONNX file of a folder by the real command, in this one process.

Run as a program, with memory and time watched from outside: prints, as JSON, for each file its
exit code, its error lines, the end of what it wrote on stderr, and the processor seconds it took;
and the most memory this process ever held.
"""

import contextlib
import io
import json
import resource
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    """Every file in turn, on the folder's data.npz."""
    import onnx
    import onnxruntime

    from bitcliff.cli.main import run
    from bitcliff.run.assess_job import run_assess

    del onnx, onnxruntime, run_assess  # imported beforehand, so that no file's time holds it
    results = {}
    for file in sorted(folder.glob("*.onnx")):
        errors, begun = io.StringIO(), time.process_time()
        arguments = f"assess {file} --data {folder / 'data.npz'} --out {folder / 'run'} --bits 3:4"
        effort = "--budget 3.5 --uniform 4 --rounds 0 --exchanges 0 --evaluations 0 --draws 1"
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = run([*arguments.split(), *effort.split(), "--threads", "1"])
        lines = [line for line in errors.getvalue().splitlines() if "bitcliff: error:" in line]
        results[file.name] = (code, lines, errors.getvalue()[-400:], time.process_time() - begun)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"files": results, "memory": memory}, sys.__stdout__ or sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
