"""`python -m benchmarks [F1 … F9 sweep console] [--json]`: a Markdown table of ratios.

`python -m benchmarks world --rows 10m FILE` makes an installation base of that size, to look at;
`python -m benchmarks console --rows 10k,1m [--keep FOLDER]` measures the console on some.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks import base
from benchmarks.measures import MEASURES, Sizes, run


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*MEASURES, "world FILE"]))
    parser.add_argument("--rows", default="10k", help="sizes of installation bases, as 10k,1m; one for `world`")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep them there, and find them there again")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    asked = parser.parse_intermixed_args()
    try:
        rows = tuple(base.size_of(text) for text in asked.rows.split(","))
        if asked.names[:1] == ["world"]:
            (file,), (size,) = map(Path, asked.names[1:]), rows
            base.main(file, size)
            return
    except (ValueError, FileExistsError) as error:
        parser.error(f"python -m benchmarks world --rows 1m FILE, which is new: {error}")
    unknown = set(asked.names) - set(MEASURES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    lines = run(asked.names, Sizes(rows, asked.keep))
    if asked.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return
    print("| what | ours | raw | ratio | target | kept | note |\n|---|---|---|---|---|---|---|")
    for line in lines:
        numbers = f"{line.ours:,.2f} {line.unit} | {line.raw:,.2f} {line.unit} | **{line.ratio:.2f}**"
        kept = {None: "", True: "yes", False: "**no**"}[line.met]
        print(f"| {line.what} | {numbers} | {line.target} | {kept} | {line.note} |")


if __name__ == "__main__":
    main()
