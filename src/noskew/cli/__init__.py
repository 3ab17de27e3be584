"""The command line: ``noskew``."""

from __future__ import annotations


def main() -> None:
    """Run the command that was typed; the entry point of the ``noskew`` script."""
    # At the top, the name would hide the module that it is taken from.
    from noskew.cli.app import app

    app(prog_name="noskew")
