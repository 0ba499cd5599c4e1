"""What continuous integration runs: all of `make check` and `make test-browser`, with a browser for the latter."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

LOG = 'echo "{name} $*" >> "$CI_LOG"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine on which make, apt-get and sudo only say that they were called."""
    place(tmp_path, "make", LOG.format(name="make"))
    place(tmp_path, "apt-get", LOG.format(name="apt-get"))
    place(tmp_path, "id", "echo 0\n")
    return tmp_path


def place(machine: Path, name: str, script: str) -> None:
    """A command of that machine."""
    file = machine / name
    file.write_text(f"#!/bin/bash\n{script}", encoding="utf-8")
    file.chmod(0o755)


def run(machine: Path, browser: Path) -> tuple[int, list[str], str]:
    """(exit status, what was called, what was said)."""
    log = machine / "log"
    log.write_text("", encoding="utf-8")
    settings = {"PATH": f"{machine}:{os.defpath}", "CI_LOG": str(log), "CHROMIUM": str(browser)}
    done = subprocess.run(
        [str(ROOT / ".ci/run")], env=settings, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, log.read_text(encoding="utf-8").splitlines(), done.stderr


INSTALLED = ["apt-get update", "apt-get install -y --no-install-recommends chromium"]
BOTH = ["make check", "make test-browser"]


def test_everything_is_run_with_the_browser_that_is_there(machine: Path) -> None:
    place(machine, "chromium", "")
    assert run(machine, machine / "chromium") == (0, BOTH, "")


def test_a_browser_is_installed_first(machine: Path) -> None:
    browser = machine / "chromium"
    place(machine, "apt-get", LOG.format(name="apt-get") + f'touch "{browser}"; chmod +x "{browser}"\n')
    assert run(machine, browser) == (0, INSTALLED + BOTH, "")


def test_somebody_who_is_not_root_asks_sudo(machine: Path) -> None:
    browser = machine / "chromium"
    place(machine, "id", "echo 1000\n")
    place(machine, "apt-get", LOG.format(name="apt-get") + f'touch "{browser}"; chmod +x "{browser}"\n')
    place(machine, "sudo", 'shift\n"$@"\n')
    assert run(machine, browser)[:2] == (0, INSTALLED + BOTH)


def test_without_a_browser_it_fails_aloud_before_anything_else(machine: Path) -> None:
    status, called, said = run(machine, machine / "chromium")
    assert (status, called) == (1, INSTALLED), "installed, and still not there"
    assert "CI FAILED" in said
    place(machine, "apt-get", LOG.format(name="apt-get") + "exit 100\n")
    status, called, said = run(machine, machine / "chromium")
    assert (status, called) == (100, INSTALLED[:1])
    assert "CI FAILED with status 100" in said


@pytest.mark.parametrize("broken", BOTH)
def test_what_fails_is_not_passed_over(machine: Path, broken: str) -> None:
    place(machine, "chromium", "")
    place(machine, "make", LOG.format(name="make") + f'[ "make $1" != "{broken}" ]\n')
    status, called, said = run(machine, machine / "chromium")
    assert (status, called[-1]) == (1, broken)
    assert "CI FAILED" in said
