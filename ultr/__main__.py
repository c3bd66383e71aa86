"""`python -m ultr` is `ultr`."""

from ultr.cli import main

main()
