"""Collecting how a record came to be: versions, revision, processor."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_PACKAGES = ("torch", "numpy", "scipy", "torchvision", "timm", "transformers", "pillow")
_FLAGS = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "fma"),
    *("asimd", "asimddp", "i8mm"),
)


def package_versions() -> dict[str, str]:
    """Versions of the packages that a number can depend on, where installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def revision() -> str | None:
    """The commit Bitcliff runs from, "+" marking uncommitted changes; None when installed."""
    here = Path(__file__).resolve().parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        tracked = _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    if not tracked:
        return None
    return commit + ("+" if changed else "")


def cpu_flags() -> list[str]:
    """The instruction sets that change a kernel's arithmetic, as Linux names them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    line = next((row for row in text.splitlines() if row.startswith(("flags", "Features"))), "")
    have = set(line.partition(":")[2].split())
    return [flag for flag in _FLAGS if flag in have]


def platform_name() -> str:
    """Operating system and processor family."""
    return f"{platform.system()} {platform.machine()}"


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603
    return done.stdout.strip()
