"""`python -m benchmarks [F1 … F9 sweep] [--json]`: a Markdown table of ratios."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from benchmarks.measures import MEASURES, run


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--json", action="store_true", help="machine-readable")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(MEASURES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    lines = run(asked.names)
    if asked.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return
    print("| what | ours | raw | ratio | target | note |\n|---|---|---|---|---|---|")
    for line in lines:
        numbers = f"{line.ours:,.2f} {line.unit} | {line.raw:,.2f} {line.unit} | **{line.ratio:.2f}**"
        print(f"| {line.what} | {numbers} | {line.target} | {line.note} |")


if __name__ == "__main__":
    main()
