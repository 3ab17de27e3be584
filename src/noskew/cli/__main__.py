"""``python -m noskew.cli``: the same as ``noskew``, by the interpreter that runs this."""

from __future__ import annotations

from noskew.cli import main

if __name__ == "__main__":
    main()
