"""Defects for a copy of the product: what proves that a test can fail. The oracle is never touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import grantflow

PRODUCT = Path(grantflow.__file__).resolve().parents[2]
ROOT = Path(__file__).resolve().parents[2]
Edit = tuple[str, str, str]
"""A file below the root, the sound text, the defect."""

GUARD: tuple[Edit, ...] = (
    (
        "src/grantflow/_store/_statements.py",
        '    where = " AND ".join(f"{name}=?" for name in ("pk", *guard))',
        '    where = "pk=?"',
    ),
    ("src/grantflow/_store/_writing.py", "(*update.values(row), change.expected_version)", "update.values(row)"),
)
"""The version guard is dropped from the UPDATE."""
OUTCOME: tuple[Edit, ...] = (
    (
        "src/grantflow/_grants.py",
        "        if attempt.outcome is not None:\n            replayed",
        '        if attempt.outcome not in (None, "completed"):\n            replayed',
    ),
)
"""A code is redeemed without a look at what became of its attempt."""
DUE: tuple[Edit, ...] = (
    (
        "src/grantflow/_store/_statements.py",
        "json_each(?2)) AND i.due_at <= ?3 AND NOT",
        "json_each(?2)) AND ?3 IS NOT NULL AND NOT",
    ),
    (
        "src/grantflow/_transition.py",
        "row.deadline_at is not None and row.deadline_at <= self.now\n",
        "row.deadline_at is not None\n",
    ),
    (
        "machines/grantflow_machines/_guards.py",
        "return facts.now >= facts.deadline or No(",
        "return facts.now > 0 or No(",
    ),
)
"""A sweep believes its list: neither the statement, nor the write path, nor the chart looks at the time again."""
KEY: tuple[Edit, ...] = (
    (
        "src/grantflow/_send.py",
        "        if found.replayed_version is not None:\n",
        "        if found.replayed_version is not None and found.attempts:\n",
    ),
)
"""An idempotency key is looked at only now and then."""
CHILDREN: tuple[Edit, ...] = (
    ("src/grantflow/_apps.py", "        await self._remove_children(app, account, Actor.system())\n", ""),
)
"""The rows of an app that was taken off an account stay as they are."""

_ONE_AT_A_TIME = "    return until is not None and now < until <= now + span(core.settings.refresh_lease)"
LEASE: tuple[Edit, ...] = (
    (
        "src/grantflow/_renewal.py",
        _ONE_AT_A_TIME,
        "    return until is not None and now > until + span(core.settings.refresh_lease)",
    ),
)
"""Somebody else's lease is not looked at while it runs."""
GENERATION: tuple[Edit, ...] = (
    (
        "src/grantflow/_renewal.py",
        "ours = tokens is not None and tokens.generation == lease.generation and tokens",
        "ours = tokens is not None and lease.generation and tokens",
    ),
)
"""An answer is taken for whatever generation is there when it comes."""
STATE: tuple[Edit, ...] = (
    (
        "src/grantflow/_callback.py",
        '    if attempt.state_used_at is not None:\n        raise BadCallback(why="used")\n',
        "",
    ),
)
"""`state` is not consumed."""
LATE: tuple[Edit, ...] = (
    (
        "src/grantflow/_renewal.py",
        "        draft.change.revocations = give_back(core, row, answer, draft.now, lease.identity)\n",
        "        pass\n",
    ),
)
"""Tokens that come too late are dropped, and live on upstream."""
MARKER: tuple[Edit, ...] = (
    (
        "src/grantflow/_renewal.py",
        "        tokens.refresh_at = tokens.access_expires_at if access_works else now\n",
        "        tokens.refresh_at = None\n",
    ),
)
"""A renewal that was not answered is never asked for again."""


def planted(folder: Path, *edits: Edit) -> dict[str, str]:
    """An environment whose grantflow, a copy below `folder`, carries defects."""
    for part in ("src", "machines"):
        if not (folder / part).exists():
            shutil.copytree(PRODUCT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, sound, defect in edits:
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(sound) == 1, f"the place to plant the defect has moved: {name}"
        file.write_text(text.replace(sound, defect), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder / "machines"), str(ROOT)])}
