"""Faults do what they are called, the account is true, and a server lives exactly as long as its tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.control import FaultKind, Kind, RealServer, start, started
from tests.servers.plain_client import GRANT, LOST, OK, Asker, Reply

# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "after"),
    [("unavailable", 503, "2"), ("limited", 429, "2"), ("broken", 500, None), ("garbage", 200, None)],
)
def test_an_answer_that_is_not_the_servers(server: RealServer, kind: FaultKind, status: int, after: str) -> None:
    asker = Asker(server)
    token = asker.tokens()["refresh_token"]
    server.fault(kind, times=2)
    for _ in range(2):
        planted = asker.refresh(token)
        assert (planted.status, planted.body, planted.headers.get("Retry-After")) == (status, {}, after)
    assert asker.refresh(token).told == OK, "the server never saw the others"
    assert server.counters().refreshes() == {kind: 2, "ok": 1}


def test_a_connection_that_closes_before_the_work(server: RealServer) -> None:
    asker = Asker(server)
    token = asker.tokens()["refresh_token"]
    server.fault("hangup")
    with pytest.raises(LOST):
        asker.refresh(token)
    assert asker.refresh(token).told == OK


@pytest.mark.parametrize("kind", ["lost", "cut"])
@pytest.mark.parametrize("protection", [False, True])
def test_an_answer_lost_after_the_rotation_is_the_grant(
    server: RealServer, kind: FaultKind, protection: bool
) -> None:
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=protection)
    asker = Asker(server)
    token = asker.tokens()["refresh_token"]
    server.fault(kind, grant="refresh_token")
    with pytest.raises(LOST):
        asker.refresh(token)
    assert asker.refresh(token).told == GRANT, "the server has rotated, and only it knows the new token"
    assert server.counters().refreshes() == {f"ok, {kind}": 1, "invalid_grant": 1}
    assert asker.live()[1] == (0 if protection else 1)


def test_a_lost_answer_can_be_asked_for_again_in_grace(server: RealServer) -> None:
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=60)
    asker = Asker(server)
    token = asker.tokens()["refresh_token"]
    server.fault("lost", grant="refresh_token")
    with pytest.raises(LOST):
        asker.refresh(token)
    again = asker.refresh(token)
    assert again.told == OK
    assert asker.refresh(again.body["refresh_token"]).told == OK


def test_a_lost_code_answer_and_a_lost_revocation(server: RealServer) -> None:
    asker = Asker(server)
    code = asker.back()["code"]
    server.fault("lost")
    with pytest.raises(LOST):
        asker.redeem(code)
    assert asker.redeem(code).told == GRANT
    tokens = asker.tokens()
    server.fault("lost", endpoint="revocation")
    with pytest.raises(LOST):
        asker.revoke(tokens["refresh_token"])
    assert asker.me(tokens["access_token"]).status == 401
    server.fault("unavailable", endpoint="api", retry_after=None)
    planted = asker.me(tokens["access_token"])
    assert (planted.status, "Retry-After" in planted.headers) == (503, False)


def test_an_edited_answer(server: RealServer) -> None:
    asker = Asker(server)
    code = asker.back()["code"]
    server.fault("rewrite", drop=["expires_in", "refresh_token"], change={"token_type": "bearer", "extra": [1]})
    told = asker.redeem(code).body
    assert told.keys() == {"access_token", "scope", "token_type", "extra"}
    assert told["token_type"] == "bearer"


def test_a_slow_answer(server: RealServer) -> None:
    asker = Asker(server)
    code = asker.back()["code"]
    server.fault("slow", seconds=0.2, when="after")
    begin = time.monotonic()
    assert asker.redeem(code).told == OK
    assert time.monotonic() - begin >= 0.2


def test_a_fault_nobody_knows_is_refused(servers: dict[Kind, RealServer]) -> None:
    with pytest.raises(RuntimeError, match="Fault"):
        servers["authlib"].fault("slow", colour="red")  # type: ignore[call-arg]  # that is the test


# --- the account ----------------------------------------------------------------------------------


def test_the_account_keeps_names_and_no_values(server: RealServer) -> None:
    asker = Asker(server)
    tokens = asker.tokens()
    asker.refresh(tokens["refresh_token"])
    redeemed, refreshed = server.requests("token")
    assert (redeemed.grant, refreshed.grant) == ("authorization_code", "refresh_token")
    assert redeemed.params == ["code", "code_verifier", "grant_type", "redirect_uri"]
    assert refreshed.params == ["grant_type", "refresh_token"], "no scope"
    assert (refreshed.auth, refreshed.client_id, refreshed.outcome) == ("basic", asker.client.client_id, "ok")
    assert not {*tokens.values()} & {str(value) for seen in server.requests() for value in vars(seen).values()}
    assert server.counters().outcomes == {"authorization_code": {"ok": 1}, "refresh_token": {"ok": 1}}
    assert server.counters().concurrency == 1
    server.reset()
    assert server.requests() == []


def storm(asker: Asker, token: str, many: int) -> list[Reply]:
    """`many` refreshes with one token: all arrive before any is answered, and one of them is late."""
    server = asker.server
    server.fault("hold", times=many)
    with ThreadPoolExecutor(many) as threads:
        asked = [threads.submit(asker.refresh, token) for _ in range(many)]
        server.wait_for_waiting(many)
        server.release(many - 1)
        while sum(one.done() for one in asked) < many - 1:
            time.sleep(0.002)
        server.release()
        return [one.result() for one in asked]


@pytest.mark.parametrize("protection", [False, True])
def test_two_at_once_lose_the_grant(server: RealServer, protection: bool) -> None:
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=protection)
    asker = Asker(server)
    replies = storm(asker, asker.tokens()["refresh_token"], 8)
    told = Counter(reply.told for reply in replies)
    # see STORM_AT_DOT in conftest.py
    accident = {(500, None)} if protection and server.kind == "dot" else set()
    assert told[GRANT] >= 1, "the latecomer at least is refused"
    assert told.keys() - accident <= {OK, GRANT}
    assert server.counters().concurrency == 8
    won = {reply.body["refresh_token"] for reply in replies if reply.status == 200}
    assert protection or len(won) == 1, "DOT repeats one answer to those it had already let in"
    assert {asker.refresh(token).told for token in won} <= {GRANT if protection else OK}
    assert (asker.live()[1] == 0) is protection


def test_refreshes_of_different_grants_do_not_count_together(server: RealServer) -> None:
    askers = [Asker(server), Asker(server)]
    tokens = [asker.refresh(asker.tokens()["refresh_token"]).body["refresh_token"] for asker in askers]
    server.fault("hold", times=2)
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(asker.refresh, token) for asker, token in zip(askers, tokens, strict=True)]
        server.wait_for_waiting(2)
        server.release()
        assert [one.result().told for one in asked] == [OK, OK]
    assert server.counters().concurrency == 1


# --- the process ----------------------------------------------------------------------------------


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"did not start:\n(?s:.*)TypeError"):
        start("authlib", tmp_path, {"SCOPES": 7})  # type: ignore[typeddict-item]  # that is the test


def test_no_server_outlives_its_tests() -> None:
    with started("authlib", ACCESS_TOKEN_EXPIRE_SECONDS=60) as server:
        tokens = Asker(server).tokens()
        assert int(tokens["expires_in"]) == 60
        assert server._process.stdin is not None
        server._process.stdin.close()
        assert server._process.wait(timeout=10) == 0
        server.stop()
        server.stop()
    with pytest.raises(OSError, match="refused"):
        server.counters()


def test_it_is_a_program_too(tmp_path: Path) -> None:
    program = Path(__file__).with_name("authlib_server.py")
    usage = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=30, check=False)
    assert (usage.returncode, usage.stderr[:6]) == (1, "usage:")
    with subprocess.Popen([sys.executable, program, "0", tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"] is True
        process.kill()
