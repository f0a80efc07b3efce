"""`python -m palpate`: the command line, where the program `palpate` is not on the path."""

from palpate.cli import main

main()
