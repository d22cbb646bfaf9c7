"""`python -m bitcliff`: the command line, where the script `bitcliff` is not on the path."""

from bitcliff.cli import main

main()
