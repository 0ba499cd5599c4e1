"""Kill -9 as a program: `driver.py FOLDER prepare`, then `driver.py FOLDER [options] VERB…`; see `killing`.

Exit status 1 means that a promise was broken; `broken` in the JSON object it prints says how.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.faults.killing import program

    sys.exit(program(sys.argv[1:]))
