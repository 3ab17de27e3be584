"""Compile the kernel if none of it is, so that processes that start together need not each."""

from __future__ import annotations

from noskew.cli.warm_up import warm_up
from noskew.cli.warmth import compiled_functions, tell_if_cold

if __name__ == "__main__" and not compiled_functions():
    tell_if_cold()
    warm_up()
