"""A process that is of no use without the one that began it."""

import os
import threading
import time

PARENT = "BITCLIFF_PARENT"
"""The environment's variable that holds the number of the process to end with."""


def end_with(parent: int) -> None:
    """End this process, at once and without saving, once its parent is another than that."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
