"""`python -m egregora`."""

from egregora.cli import run

run()
