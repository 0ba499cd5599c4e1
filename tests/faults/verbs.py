"""The verbs that are put to the test, as a table, and the prepared world they all start from.

A new verb is one line in `VERBS`; what it needs to find goes into `prepare`.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from grantflow import (
    Actor,
    App,
    AppAccount,
    AppKind,
    Attempt,
    ClientCredentials,
    ConsentForm,
    Engine,
    Forgotten,
    Installation,
    Job,
    JobsReport,
    Notice,
    Plan,
    Returned,
    Sent,
    Settings,
    SweepReport,
    Tokens,
    Version,
    Window,
)
from grantflow.errors import (
    BadCallback,
    Conflict,
    GrantflowError,
    InvalidGrant,
    NotFound,
    PermissionDenied,
    TokenUnavailable,
    TransitionRefused,
)
from grantflow.testing import SECRET, ManualClock, People, authorize, consent, sample_app
from tests.faults import foreign
from tests.faults.foreign import MAIL

BOB, MARIA, UMA = Actor.agent("bob"), Actor.admin("maria"), Actor.user("uma")
PLATFORM, OPERATOR = Actor.system(), Actor.operator("olga")
KEY, EXTERNAL, HELD, BULK = "agent-app", "external-app", "held-app", "bulk-app"
REASON = "a drill with faults"
ACCOUNTS = [f"account-{n}" for n in range(10)]
CHALLENGE = "x" * 43
SCOPES = (("tickets.read", "tickets.write"), ("people.read",))
VERSIONS = (Version("1.0", *SCOPES), Version("2.0", *SCOPES))
ATTEMPT_TIME, YEAR = timedelta(minutes=10), timedelta(days=365)
Prepared = dict[str, Any]
Call = Callable[[Engine, Prepared], Awaitable[object]]


def people() -> People:
    """Everybody of the drill, with their accounts."""
    return People({BOB: ACCOUNTS, MARIA: ACCOUNTS, UMA: ["account-0"]})


def opened(database: Path | str, clock: ManualClock, **settings: Any) -> Any:
    """An engine whose sweep takes everything in one chunk, so that runs are alike; on a file, or behind a URL."""
    chosen = replace(Settings(chunk_budget=timedelta(seconds=60)), **settings)
    return Engine.open(
        database if isinstance(database, str) else f"sqlite:///{database}",
        clock=clock,
        directory=people(),
        settings=chosen,
        keys=foreign.ring(),
        http=foreign.answers,
        identify=foreign.identify,
    )


def fresh(template: Path, file: Path) -> None:
    """A copy of the prepared database, without a journal."""
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    shutil.copyfile(template, file)


async def prepare(file: Path | str) -> Prepared:
    """Working installations, open attempts on every step, codes, spent tokens, suspensions and a held app."""
    async with opened(file, ManualClock()) as engine:
        await engine.apps.register(sample_app(key=KEY, versions=VERSIONS))
        await engine.apps.register(sample_app("external", key=EXTERNAL))
        await engine.apps.register(sample_app(key=HELD))
        await engine.apps.hold(HELD, actor=OPERATOR, reason=REASON)
        for account in ACCOUNTS:
            if account != "account-8":
                await engine.apps.install(KEY, account, actor=PLATFORM)
        await engine.apps.suspend(KEY, "account-9", actor=PLATFORM, reason=REASON)
        live = [await authorize(engine, KEY, f"account-{n}", actor=BOB) for n in range(4)]
        used, used_verifier = await consent(engine, KEY, "account-4", actor=BOB)
        client = ClientCredentials((await engine.apps.get(KEY)).client_id, SECRET)
        assert used.code is not None
        live.append(await engine.ledger.redeem(used.code.value, client=client, code_verifier=used_verifier))
        renewed = await engine.ledger.renew(live[4].refresh_token.value, client=client)
        beside = await engine.reauthorize(live[1].installation, actor=BOB, code_challenge=CHALLENGE)
        await engine.suspend(live[3].installation, actor=PLATFORM, reason=REASON)
        waiting, verifier = await consent(engine, KEY, "account-5", actor=BOB)
        assert waiting.code is not None
        form = await engine.authorize(KEY, actor=BOB, code_challenge=CHALLENGE)
        await engine.select_account(form.id, "account-6", actor=BOB)
        loose = [await engine.authorize(KEY, actor=BOB, code_challenge=CHALLENGE) for _ in range(2)]
        outside = await engine.authorize(EXTERNAL, actor=UMA, code_challenge=CHALLENGE)
        return await foreign.prepare_foreign(engine) | {
            "jobs": await _jobs(engine),
            "ids": [tokens.installation for tokens in live],
            "access": [tokens.access_token.value for tokens in live],
            "refresh": [*(tokens.refresh_token.value for tokens in live), renewed.refresh_token.value],
            "client": client.client_id,
            "used": used.code.value,
            "used_verifier": used_verifier,
            "code": waiting.code.value,
            "verifier": verifier,
            "beside": beside.id,
            "form": form.id,
            "loose": [attempt.id for attempt in loose],
            "outside": outside.id,
        }


def _client(known: Prepared) -> ClientCredentials:
    return ClientCredentials(known["client"], SECRET)


async def _deliver(engine: Engine, _: Prepared) -> object:
    engine.subscribe(lambda notice: None)
    await engine.drain_notices()
    return None


async def _fail_to_deliver(engine: Engine, _: Prepared) -> object:
    def broken(notice: Notice) -> None:
        raise ValueError(notice.name)

    engine.subscribe(broken)
    await engine.drain_notices()
    return None


async def _beat(engine: Engine, _: Prepared) -> object:
    await engine.beat("scheduler")
    await engine.stop_beating()
    return None


async def _look(engine: Engine, _: Prepared) -> object:
    forecast = await engine.ops.forecast(lifetime=YEAR)
    await engine.next_warning()
    await engine.next_renewal()
    seen = await engine.ops.heartbeats(), await engine.ops.paused(), await engine.ops.dead_notices()
    await engine.ops.waiting_notices()
    return [str(forecast.total), len(await engine.ops.broken_promises()), *map(str, seen)]


async def _preview(engine: Engine, known: Prepared) -> object:
    return await engine.ops.preview_force(known["ids"][0], to="unauthorized", actor=OPERATOR, reason=REASON)


async def _bulk(engine: Engine, filter: str = f"app:{BULK}") -> object:  # noqa: A002 - the field's word
    plan = await engine.ops.preview_bulk(filter, "suspend", actor=OPERATOR, reason=REASON, canary=1)
    return await engine.ops.start_bulk(plan)


async def _jobs(engine: Engine) -> list[str]:
    """A job of two rows that waits, one that is paused, and one that was done and has a row that had moved."""
    made = []
    await engine.apps.register(sample_app("account", key=BULK))
    for account in ACCOUNTS[:5]:
        await engine.install(BULK, account=account, actor=PLATFORM)
    for accounts in ("account-0,account-1", "account-2,account-3", "account-4"):
        job = await _bulk(engine, f"app:{BULK} account:{accounts}")
        assert isinstance(job, Job)
        made.append(job.id)
    await engine.ops.pause_job(made[1], actor=OPERATOR, reason=REASON)
    last = await engine.get(BULK, account="account-4")
    await engine.suspend(last.id, actor=OPERATOR, reason=REASON)
    await engine.unsuspend(last.id, actor=OPERATOR)
    await engine.run_jobs(job=made[2])
    return made


async def _nothing(engine: Engine, _: Prepared) -> object:
    return sorted(engine._core.store.pragmas())


@dataclass(frozen=True, slots=True)
class Verb:
    """One line of the table."""

    call: Call
    later: timedelta = timedelta(0)
    """How long after the preparation it is called."""
    several: bool = False
    """Several transactions by design: every state between two of them may be left."""
    again: tuple[type[GrantflowError], ...] = ()
    """What a caller may hear who comes again after the first call was carried out unheard."""
    adds: bool = False
    """A second call is a second deed: a window more, a line on the record more."""
    damage: str = ""
    """SQL that spoils a row before the verb runs."""
    creates: bool = False
    """Runs on no database at all."""
    writes: bool = True


VERBS: dict[str, Verb] = {
    "send": Verb(lambda e, k: e.send(k["ids"][0], "disconnect", actor=BOB, idempotency_key="the-same-key")),
    "force": Verb(
        lambda e, k: e.ops.force(k["ids"][1], to="refresh-expired", actor=OPERATOR, reason=REASON),
        several=True,
        again=(TransitionRefused,),
        adds=True,
    ),
    "redeem": Verb(
        lambda e, k: e.ledger.redeem(k["code"], client=_client(k), code_verifier=k["verifier"]), again=(InvalidGrant,)
    ),
    "sweep": Verb(lambda e, k: e.sweep(), later=timedelta(days=400), several=True),
    "renew": Verb(lambda e, k: e.ledger.renew(k["refresh"][2], client=_client(k)), again=(InvalidGrant,)),
    "reuse": Verb(lambda e, k: _refused(e.ledger.renew(k["refresh"][4], client=_client(k)))),
    "replay": Verb(
        lambda e, k: _refused(e.ledger.redeem(k["used"], client=_client(k), code_verifier=k["used_verifier"]))
    ),
    "revoke": Verb(lambda e, k: e.ledger.revoke(k["refresh"][2], client=_client(k)), adds=True),
    "give_back": Verb(lambda e, k: e.ledger.revoke(k["access"][2], client=_client(k))),
    "authorize": Verb(lambda e, k: e.authorize(KEY, actor=BOB, code_challenge=CHALLENGE), adds=True),
    "authorize_there": Verb(
        lambda e, k: e.authorize(KEY, actor=BOB, account="account-5", code_challenge=CHALLENGE), adds=True
    ),
    "reauthorize": Verb(
        lambda e, k: e.reauthorize(k["ids"][0], actor=BOB, code_challenge=CHALLENGE), later=YEAR, adds=True
    ),
    "select_account": Verb(lambda e, k: e.select_account(k["loose"][0], "account-7", actor=BOB), adds=True),
    "window": Verb(lambda e, k: e.window(k["outside"], actor=UMA)),
    "agree": Verb(lambda e, k: e.agree(k["form"], actor=BOB), again=(TransitionRefused,)),
    "cancel": Verb(lambda e, k: e.cancel(k["form"], actor=BOB), again=(TransitionRefused,)),
    "cancel_beside": Verb(lambda e, k: e.cancel(k["beside"], actor=BOB), again=(TransitionRefused,)),
    "cancel_loose": Verb(lambda e, k: e.cancel(k["loose"][0], actor=BOB), again=(TransitionRefused,)),
    "refuse": Verb(lambda e, k: e.refuse(k["form"], actor=BOB), again=(TransitionRefused,)),
    "cancel_attempt": Verb(
        lambda e, k: e.ops.cancel_attempt(k["beside"], actor=OPERATOR, reason=REASON), again=(TransitionRefused,)
    ),
    "admit": Verb(lambda e, k: _denied(e.ops.admit("register", KEY, actor=BOB)), adds=True),
    "install": Verb(lambda e, k: e.install(EXTERNAL, account="account-3", actor=UMA), several=True),
    "install_by_admin": Verb(
        lambda e, k: e.install(KEY, account="account-8", actor=MARIA, subject=BOB), several=True, adds=True
    ),
    "suspend": Verb(lambda e, k: e.suspend(k["ids"][0], actor=PLATFORM, reason=REASON), again=(TransitionRefused,)),
    "unsuspend": Verb(lambda e, k: e.unsuspend(k["ids"][3], actor=PLATFORM), again=(TransitionRefused,)),
    "uninstall": Verb(lambda e, k: e.uninstall(k["ids"][0], actor=PLATFORM), again=(TransitionRefused,)),
    "app_register": Verb(lambda e, k: e.apps.register(sample_app("account", key="one-more"))),
    "app_change": Verb(lambda e, k: e.apps.register(sample_app(key=KEY, versions=VERSIONS, name="New"))),
    "app_install": Verb(lambda e, k: e.apps.install(KEY, "account-8", actor=MARIA), adds=True),
    "app_uninstall": Verb(
        lambda e, k: e.apps.uninstall(KEY, "account-1", actor=MARIA), several=True, again=(NotFound,)
    ),
    "app_upgrade": Verb(lambda e, k: e.apps.upgrade(KEY, "account-0", "1.0", actor=MARIA), adds=True),
    "app_available": Verb(lambda e, k: e.apps.set_available(KEY, "account-0", True, actor=MARIA), adds=True),
    "app_suspend": Verb(
        lambda e, k: e.apps.suspend(KEY, "account-0", actor=MARIA, reason=REASON), again=(TransitionRefused,)
    ),
    "app_unsuspend": Verb(
        lambda e, k: e.apps.unsuspend(KEY, "account-9", actor=PLATFORM), again=(TransitionRefused,)
    ),
    "hold": Verb(lambda e, k: e.apps.hold(KEY, actor=OPERATOR, reason=REASON), adds=True),
    "release": Verb(lambda e, k: e.apps.release(HELD, actor=OPERATOR, reason=REASON), adds=True),
    "release_sweep": Verb(lambda e, k: e.ops.release_sweep(KEY, actor=OPERATOR, reason=REASON), adds=True),
    "preview_force": Verb(_preview, adds=True),
    "remind": Verb(
        lambda e, k: e.ops.remind(k["ids"][0], actor=OPERATOR, reason=REASON), later=YEAR, several=True, adds=True
    ),
    "repair": Verb(
        lambda e, k: e.ops.repair(k["ids"][0], actor=OPERATOR, reason=REASON),
        damage="UPDATE grantflow_installation SET quarantined = 1, due_at = NULL WHERE public_id = ?",
        again=(TransitionRefused,),
    ),
    "notices": Verb(_deliver, several=True),
    "notices_failing": Verb(_fail_to_deliver, several=True),
    "retry_notices": Verb(
        lambda e, k: e.ops.retry_notices(actor=OPERATOR, reason=REASON),
        damage="UPDATE grantflow_outbox SET dead_at = 1 WHERE pk <= (SELECT pk FROM grantflow_installation "
        "WHERE public_id = ?)",
        several=True,
        adds=True,
    ),
    "run_sweep": Verb(
        lambda e, k: e.ops.run_sweep(actor=OPERATOR, reason=REASON),
        later=timedelta(days=400),
        several=True,
        adds=True,
    ),
    "pause": Verb(lambda e, k: e.ops.pause(actor=OPERATOR, reason=REASON), adds=True),
    "resume": Verb(
        lambda e, k: e.ops.resume(actor=OPERATOR, reason=REASON),
        damage="INSERT INTO grantflow_control SELECT 'paused', 0, public_id, '', '' FROM grantflow_installation "
        "WHERE public_id = ?",
        again=(TransitionRefused,),
        adds=True,
    ),
    "reconcile_counts": Verb(
        lambda e, k: e.ops.reconcile_counts(actor=OPERATOR, reason=REASON),
        damage="UPDATE grantflow_count SET n = n + 1 WHERE app_pk = (SELECT app_pk FROM grantflow_installation "
        "WHERE public_id = ?)",
        several=True,
        adds=True,
    ),
    "recount": Verb(
        lambda e, k: e.recount(),
        damage="UPDATE grantflow_count SET n = n + 1 WHERE app_pk = (SELECT app_pk FROM grantflow_installation "
        "WHERE public_id = ?)",
        several=True,
    ),
    "warn_due": Verb(lambda e, k: e.warn_due(), later=timedelta(days=352), several=True),
    "forget": Verb(
        lambda e, k: e.forget(),
        damage="UPDATE grantflow_installation SET ended_at = 1 WHERE public_id = ?",
        later=timedelta(days=352),
        several=True,
    ),
    "beat": Verb(_beat, several=True, adds=True),
    "looks": Verb(_look, writes=False),
    "complete": Verb(
        lambda e, k: e.complete(k["query"], cookies=k["cookies"]), several=True, again=(BadCallback,), adds=True
    ),
    "complete_refused": Verb(
        lambda e, k: e.complete(k["no"], cookies=k["cookies"]), several=True, again=(BadCallback,)
    ),
    "access_token": Verb(
        lambda e, k: foreign.patient(e.access_token(k["mail"][2])),
        later=timedelta(hours=2),
        several=True,
        again=(TokenUnavailable,),
        adds=True,
    ),
    "report": Verb(
        lambda e, k: foreign.patient(e.report(k["mail"][2], status=401, generation=1)),
        several=True,
        again=(TokenUnavailable,),
        adds=True,
    ),
    "renew_due": Verb(lambda e, k: e.renew_due(limit=1), later=timedelta(hours=2), several=True, adds=True),
    "start_bulk": Verb(lambda e, k: _bulk(e), several=True, adds=True),
    "run_jobs": Verb(lambda e, k: e.run_jobs(job=k["jobs"][0]), several=True, adds=True),
    "pause_job": Verb(
        lambda e, k: e.ops.pause_job(k["jobs"][0], actor=OPERATOR, reason=REASON),
        again=(TransitionRefused,),
        adds=True,
    ),
    "resume_job": Verb(
        lambda e, k: e.ops.resume_job(k["jobs"][1], actor=OPERATOR, reason=REASON),
        again=(TransitionRefused,),
        adds=True,
    ),
    "cancel_job": Verb(
        lambda e, k: e.ops.cancel_job(k["jobs"][0], actor=OPERATOR, reason=REASON),
        again=(TransitionRefused,),
        adds=True,
    ),
    "retry_job": Verb(
        lambda e, k: e.ops.retry_job(k["jobs"][2], actor=OPERATOR, reason=REASON), several=True, adds=True
    ),
    "adopt": Verb(
        lambda e, k: e.adopt(
            MAIL, account="account-4", subject=BOB, actor=PLATFORM, access_token="x", identity="somebody"
        ),
        several=True,
        adds=True,
    ),
    "probe": Verb(lambda e, k: e.ops.probe(k["mail"][3], actor=OPERATOR, reason=REASON), several=True, adds=True),
    "add_secret": Verb(lambda e, k: e.apps.add_secret(MAIL, "a newer secret of the app", actor=OPERATOR)),
    "give_back_there": Verb(lambda e, k: e.deliver_revocations(), several=True),
    "rotate_keys": Verb(lambda e, k: e.ops.rotate_keys(actor=OPERATOR, reason=REASON), several=True, adds=True),
    "disconnect_there": Verb(lambda e, k: e.disconnect(k["mail"][2], actor=BOB), several=True, adds=True),
    "send_to_damaged": Verb(
        lambda e, k: _refused(e.send(k["ids"][0], "unsuspend", actor=PLATFORM)),
        damage="UPDATE grantflow_installation SET deadline_at = 'soon' WHERE public_id = ?",
        several=True,
    ),
    "sweep_damaged": Verb(
        lambda e, k: e.sweep(),
        later=timedelta(days=400),
        several=True,
        damage="UPDATE grantflow_installation SET version = 1 WHERE public_id = ?",
    ),
    "create": Verb(_nothing, creates=True),
    "open": Verb(_nothing, writes=False),
}
"""Host mode. `create` and `open` are Engine.open; `reuse` and `replay` end a grant and answer with a refusal."""
FOUR = ("send", "force", "redeem", "sweep")
"""Taken at every point in every run."""
PUBLIC_WRITES = {
    "engine": {
        *("authorize", "reauthorize", "window", "select_account", "agree", "cancel", "refuse", "install", "send"),
        *("suspend", "unsuspend", "uninstall", "sweep", "run_jobs"),
        *("complete", "access_token", "report", "renew_due", "adopt", "deliver_revocations"),
        *("warn_due", "forget", "beat", "stop_beating", "deliver_notices", "recount"),
    },
    "ledger": {"redeem", "renew", "revoke"},
    "ops": {
        *("preview_bulk", "start_bulk", "pause_job", "resume_job", "cancel_job", "retry_job"),
        *("force", "preview_force", "cancel_attempt", "release_sweep", "remind", "repair", "probe", "rotate_keys"),
        *("pause", "resume", "retry_notices", "reconcile_counts", "run_sweep"),
        "admit",
    },
    "apps": {
        *("register", "install", "uninstall", "upgrade", "set_available", "suspend", "unsuspend", "hold", "release"),
        "add_secret",
    },
}
"""What the table calls, door by door; a test holds it against the front door."""


async def _refused(call: Awaitable[object]) -> str:
    """A verb whose deed is a refusal."""
    try:
        await call
    except GrantflowError as error:
        if isinstance(error, Conflict):
            raise
        return error.code
    msg = "a refusal was expected"
    raise AssertionError(msg)


async def _denied(call: Awaitable[object]) -> str:
    """A verb that says no, and writes down that it did."""
    try:
        await call
    except PermissionDenied as error:
        return error.code
    msg = "a refusal was expected"
    raise AssertionError(msg)


def said(result: object) -> object:
    """What of a result is the same in every run, as JSON can hold it."""
    match result:
        case Sent():
            return [result.version, result.target]
        case Tokens():
            return result.generation
        case Plan():
            return [move.target for move in result.moves]
        case SweepReport():
            return [result.moved, result.attempts_closed, result.quarantined]
        case Forgotten():
            return [result.tokens, result.attempts]
        case Attempt():
            return [result.kind, result.outcome]
        case Window():
            return [result.preselected, result.form is not None]
        case ConsentForm():
            return [result.account, [*result.approved], [*result.awaiting]]
        case Returned():
            return result.outcome
        case Installation():
            return [result.stored_state, result.version, result.suspension is not None]
        case AppAccount():
            return [result.version, result.available, result.installed, result.suspension is not None]
        case Job() | JobsReport():
            return result.applied
        case App():
            return [result.key, result.kind.value if isinstance(result.kind, AppKind) else result.kind]
        case _:
            return foreign.told(result)
