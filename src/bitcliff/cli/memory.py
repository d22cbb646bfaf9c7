"""How the process keeps its memory."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_KEPT = 1 << 30


def keep_memory() -> None:
    """Have freed memory used again, where the C library can be told so (glibc); else nothing.

    It would give large tensors back to the system at once, which hands out pages of zeros again:
    for a tensor of 51 MB that costs four times as much as writing it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _KEPT)
