"""`python -m bitcliff`: the command line, where the script `bitcliff` is not on the path."""

import os

from bitcliff.cli import main
from bitcliff.run.parent import PARENT, end_with

if PARENT in os.environ:
    end_with(int(os.environ.pop(PARENT)))
main()
