"""`python -m pnnjax`."""

from ._cli import main

main()
