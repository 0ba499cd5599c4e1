"""Replay one interleaving: `python tests/faults/interleave.py SCENARIO SEED`; FROM TO hunts; see `playing`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.faults.playing import program

    sys.exit(program(sys.argv[1:]))
