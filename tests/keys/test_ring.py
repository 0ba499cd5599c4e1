"""The ring: where keys come from, how they reach running processes, and that nothing of them is told."""

from __future__ import annotations

import base64
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow import KeyRing
from grantflow.errors import ConfigurationError, KeysMissing, Quarantined
from tests.keys.vault import NEW, OLD, OTHER, ring

PLACE = "token_set/0198/access"
SECRET = OLD.split(":")[1]


def written(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "text",
    [f"{OLD},{NEW}", f"{OLD}\n{NEW}\n", f"# 2026\n\n  {OLD} # first\r\n,{NEW},\n# {OTHER}", f" {OLD} , {NEW} "],
)
def test_keys_stand_on_one_line_or_on_many(text: str) -> None:
    assert KeyRing.parse(text).ids == ("k1", "k2")


def test_the_first_key_seals_and_all_open() -> None:
    kept = ring(OLD).seal(b"x", PLACE)
    both = ring(NEW, OLD)
    assert both.open(kept, PLACE) == b"x"
    assert KeyRing.key_id(both.seal(b"x", PLACE)) == both.ids[0] == "k2"
    assert both.seal(b"x", PLACE) != both.seal(b"x", PLACE), "never the same nonce"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"{SECRET}:k1",
        f":{SECRET}",
        f"k1 {SECRET}",
        f"k1:{SECRET[:-8]}",
        f"k1:{SECRET[:-2]}",
        f"k1:{SECRET}é",
        f"ké:{SECRET}",
        f"k 1:{SECRET}",
        f"{'k' * 32}:{SECRET}",
        f"{OLD},k1:{NEW.split(':')[1]}",
    ],
)
def test_a_malformed_text_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.parse(text)
    assert caught.value.hint
    assert tellings(caught.value, SECRET) == []


def tellings(error: BaseException, secret: str) -> list[str]:
    """Every place of an error in which a key is told."""
    raw, shown = base64.b64decode(secret), []
    chain: list[BaseException | None] = [error, error.__cause__, error.__context__]
    for link in chain:
        if link is not None:
            shown += [str(link), repr(link), repr(vars(link)), repr(link.args)]
    shown += traceback.format_exception(error)
    return [text for text in shown if secret[:16] in text or repr(raw)[2:14] in text or raw.hex()[:16] in text]


def test_a_ring_tells_its_ids_alone() -> None:
    kept = ring(OLD, NEW)
    assert repr(kept) == str(kept) == "KeyRing(k1, k2)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(kept)
    with pytest.raises(ConfigurationError):
        KeyRing({"k": b"short"})


# -- a file ---------------------------------------------------------------------------------------
def test_a_file_holds_keys(tmp_path: Path) -> None:
    file = written(tmp_path / "keys", f"# made 2026-01-01 für alle\n{OLD}\n{NEW}\n")
    assert KeyRing.from_file(file).ids == KeyRing.from_file(str(file)).ids == ("k1", "k2")
    bom = written(tmp_path / "bom", b"\xef\xbb\xbf" + OLD.encode())
    assert KeyRing.from_file(bom).ids == ("k1",)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such bits")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path / "keys", OLD, mode)
    with pytest.raises(ConfigurationError, match="others than its owner") as caught:
        KeyRing.from_file(file)
    assert caught.value.hint == f"chmod 600 {file}"
    assert tellings(caught.value, SECRET) == []
    file.chmod(0o400)
    assert KeyRing.from_file(file).ids == ("k1",)


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    files = [
        tmp_path / "absent",
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "with\0nul",
        written(tmp_path / "empty", "# nothing yet\n"),
        written(tmp_path / "large", "#" * 70_000),
        written(tmp_path / "bytes", bytes(range(256))),
    ]
    for file in files:
        with pytest.raises(ConfigurationError) as caught:
            KeyRing.from_file(file)
        assert caught.value.hint


def test_the_environment_names_keys_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRANTFLOW_KEYS", raising=False)
    monkeypatch.delenv("GRANTFLOW_KEYS_FILE", raising=False)
    assert KeyRing.from_env().ids == ()
    monkeypatch.setenv("GRANTFLOW_KEYS_FILE", str(written(tmp_path / "keys", f"{NEW}\n{OLD}")))
    assert KeyRing.from_env().ids == ("k2", "k1")
    monkeypatch.setenv("GRANTFLOW_KEYS", OLD)
    with pytest.raises(ConfigurationError, match="both set"):
        KeyRing.from_env()
    monkeypatch.delenv("GRANTFLOW_KEYS_FILE")
    assert KeyRing.from_env().ids == ("k1",)


# -- a source -------------------------------------------------------------------------------------
class Source:
    """What a host passes; counts how often it is asked."""

    def __init__(self, text: str) -> None:
        self.answer: str | Exception | None = text
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # a host may get it wrong, that is tested


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr("grantflow._keys.time.monotonic", lambda: time[0])
    return time


def test_an_unknown_key_id_asks_the_source_again(now: list[float]) -> None:
    source = Source(OLD)
    kept = KeyRing.from_callable(source)
    sealed = ring(NEW).seal(b"x", PLACE)
    source.answer = f"{NEW}\n{OLD}"
    assert kept.open(sealed, PLACE) == b"x"
    assert (kept.ids, source.asked) == (("k2", "k1"), 2)
    assert KeyRing.key_id(kept.seal(b"x", PLACE)) == "k2", "the new key seals from now on"


def test_a_file_is_read_again_for_an_unknown_key_id(tmp_path: Path, now: list[float]) -> None:
    file = written(tmp_path / "keys", OLD)
    kept, sealed = KeyRing.from_file(file), ring(NEW).seal(b"x", PLACE)
    written(file, f"{NEW}\n{OLD}")
    assert kept.open(sealed, PLACE) == b"x"
    written(file, OTHER, 0o644)
    with pytest.raises(KeysMissing, match="others than its owner"):
        kept.open(ring(OTHER).seal(b"x", PLACE), PLACE)
    assert kept.ids == ("k2", "k1")


def test_a_key_that_stays_missing_does_not_ask_all_the_time(now: list[float]) -> None:
    source = Source(OLD)
    kept, sealed = KeyRing.from_callable(source), ring(NEW).seal(b"x", PLACE)
    for _ in range(50):
        with pytest.raises(KeysMissing, match="the key k2 is not among"):
            kept.open(sealed, PLACE)
    assert source.asked == 2
    assert kept.open(ring(OLD).seal(b"y", PLACE), PLACE) == b"y"
    source.answer = f"{OLD},{NEW}"
    now[0] += 1
    assert kept.open(sealed, PLACE) == b"x"
    for number in range(200):
        with pytest.raises(KeysMissing):
            kept.open(b"id%d:%s" % (number, b"x" * 40), PLACE)
    assert len(kept._missed) <= 64


@pytest.mark.parametrize("answer", [OSError(f"vault said {OTHER}"), None, "rubbish", "", "# none", ValueError(OTHER)])
def test_a_source_that_fails_takes_no_key_away(answer: str | Exception | None, now: list[float]) -> None:
    source = Source(OLD)
    kept, sealed = KeyRing.from_callable(source), ring(NEW).seal(b"x", PLACE)
    source.answer = answer
    with pytest.raises(KeysMissing) as missing:
        kept.open(sealed, PLACE)
    with pytest.raises(ConfigurationError) as failed:
        kept.reload()
    for caught in (missing, failed):
        assert tellings(caught.value, OTHER.split(":")[1]) == []
    assert kept.open(ring(OLD).seal(b"y", PLACE), PLACE) == b"y"


def test_a_source_that_fails_at_first_is_told(now: list[float]) -> None:
    source = Source("")
    source.answer = OSError(OTHER)
    with pytest.raises(ConfigurationError, match="could not be loaded: OSError") as caught:
        KeyRing.from_callable(source)
    assert tellings(caught.value, OTHER.split(":")[1]) == []
    later = Source("")
    kept = KeyRing.from_callable(later)
    with pytest.raises(KeysMissing):
        kept.seal(b"x", PLACE)
    later.answer = OLD
    kept.reload()
    assert kept.ids == ("k1",)


# -- what comes from outside ----------------------------------------------------------------------
def openings(*, sealed: bytes, place: str) -> bytes | None:
    """What opens, or None; raises only for what is not typed."""
    try:
        return ring(OLD, NEW).open(sealed, place)
    except (KeysMissing, Quarantined):
        return None


@given(st.text() | st.text(alphabet="k12:,#= \nAZaz09+/-_", max_size=120))
def test_any_text_is_keys_or_a_typed_error(text: str) -> None:
    try:
        kept = KeyRing.parse(text)
    except ConfigurationError:
        return
    if kept.ids:
        assert KeyRing.parse(text).open(kept.seal(b"x", PLACE), PLACE) == b"x"


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"k1:" + rest), st.text())
def test_any_bytes_are_a_typed_error(sealed: bytes, place: str) -> None:
    assert openings(sealed=sealed, place=place) is None


@given(st.data(), st.binary(max_size=40))
def test_a_changed_value_never_opens(data: st.DataObject, secret: bytes) -> None:
    kept = ring(OLD, NEW).seal(secret, PLACE)
    start = data.draw(st.integers(0, len(kept)))
    end = data.draw(st.integers(start, len(kept)))
    changed = kept[:start] + data.draw(st.binary(max_size=8)) + kept[end:]
    assert openings(sealed=changed, place=PLACE) == (secret if changed == kept else None)


def test_every_flipped_bit_and_every_cut_is_seen() -> None:
    kept = ring(OLD, NEW).seal(b"an access token", PLACE)
    for at in range(len(kept)):
        for bit in range(8):
            flipped = kept[:at] + bytes([kept[at] ^ 1 << bit]) + kept[at + 1 :]
            assert openings(sealed=flipped, place=PLACE) is None, (at, bit)
        assert openings(sealed=kept[:at], place=PLACE) is None, at
        assert openings(sealed=kept[at + 1 :], place=PLACE) is None, at


ELSEWHERE: list[Callable[[bytes], tuple[bytes, str]]] = [
    lambda kept: (kept, "token_set/0198/refresh"),
    lambda kept: (kept, "token_set/0199/access"),
    lambda kept: (kept, "attempt/0198/access"),
    lambda kept: (b"k2" + kept[2:], PLACE),
    lambda kept: (ring(f"k1:{NEW.split(':')[1]}").seal(b"x", PLACE), PLACE),
]


@pytest.mark.parametrize("moved", ELSEWHERE, ids=["field", "row", "table", "key id", "another key"])
def test_a_value_opens_in_its_own_place_alone(moved: Callable[[bytes], tuple[bytes, str]]) -> None:
    sealed, place = moved(ring(OLD).seal(b"x", PLACE))
    with pytest.raises(Quarantined):
        ring(OLD, NEW).open(sealed, place)


def test_a_column_of_another_kind_is_a_typed_error() -> None:
    for wrong in ("k1:text", 7, None):
        with pytest.raises(Quarantined):
            ring(OLD).open(wrong, PLACE)  # type: ignore[arg-type]  # a damaged column may hold anything
