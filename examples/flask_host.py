"""A Flask host whose app keeps its grants at a foreign authorization server: the engine without `await`.

Run it: flask --app examples.flask_host run --port 8000   (the header stands for your own session)
"""

import atexit
import os
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.wrappers import Response as Answer

from grantflow import Account, Actor, App, Carrier, KeyRing, Notice, SyncEngine, errors


def accounts_of(actor: Actor) -> list[Account]:
    """Ask your own user database; a plain function runs in a thread of its own."""
    return [Account("acme", "Acme Inc.", role=actor.kind.value)]


def may(actor: Actor, verb: str, installation: object) -> bool:
    """Your own policy may forbid what the machine allows."""
    return not (verb == "authorize" and actor.id == "intern")


def told(notice: Notice) -> None:
    """Mail the people whose app stopped working; called after the commit, at least once."""
    print("notice:", notice.name)


def create_app(http: Carrier | None = None) -> Flask:
    """One engine for each process: call this after a fork, as `flask run` and gunicorn workers do."""
    api = Flask(__name__)
    engine = SyncEngine.open(
        os.environ.get("GRANTFLOW_DATABASE", "sqlite:///grants.db"),
        directory=accounts_of, policy=may, keys=KeyRing.from_env(), http=http,
    )  # fmt: skip
    atexit.register(engine.close)  # closing twice is safe
    engine.subscribe(told)
    engine.apps.register(App.from_toml(Path(__file__).parent / "apps" / "mail_bridge.toml"))
    engine.apps.install("mail-bridge", "acme", actor=Actor.system())
    api.extensions["grantflow"] = engine

    def person() -> Actor:
        return Actor.agent(request.headers["x-user"])

    @api.errorhandler(errors.GrantflowError)
    def refused(error: errors.GrantflowError) -> tuple[Response, int]:
        guidance = getattr(error, "guidance", None)
        statuses = {errors.Unauthorized: 401, errors.PermissionDenied: 403, errors.NotFound: 404}
        status = next((code for kind, code in statuses.items() if isinstance(error, kind)), 400)
        return jsonify(error=error.code, message=str(error), guidance=guidance and guidance.as_dict()), status

    @api.get("/connect")
    def connect() -> Answer:
        """Send the person to the foreign server, bound to this browser."""
        attempt = engine.authorize("mail-bridge", account="acme", actor=person())
        answer = redirect(attempt.authorize_url or "")
        answer.headers["Set-Cookie"] = attempt.set_cookie
        return answer

    @api.get("/callback")
    def callback() -> dict[str, Any]:
        """They are back: agreed, cancelled, or somebody who was never sent (400, nothing changes)."""
        done = engine.complete(request.query_string.decode("ascii", "replace"), cookies=request.cookies)
        return {"outcome": done.outcome, "state": done.installation and done.installation.state}

    @api.get("/inbox")
    def inbox() -> dict[str, Any]:
        """Call the app's API; renewal, leases and retries are the engine's business."""
        token = engine.access_token("mail-bridge", account="acme", subject=person())
        return {"sends": sorted(token.headers), "generation": token.generation}

    return api
