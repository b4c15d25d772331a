"""Runs the command line: `python -m glandseg`."""

from glandseg.cli.main import main

main()
