"""Pages and endpoints that a platform mounts: window, consent form, token endpoint, gallery, prompt, callback.

    api.mount("/", hosting.create_app(engine, who_is=session_of, base_url="https://platform.example"))

Nothing is kept here: every request reads and writes the engine alone, so any number of processes may serve a journey.
Needs the extra `[hosting]`: Starlette, Jinja2, and uvicorn for `grantflow serve`.
"""

from grantflow.hosting._app import create_app
from grantflow.hosting._protect import protect
from grantflow.hosting._trial import Person, create_trial
from grantflow.hosting._words import ENGLISH

__all__ = ["ENGLISH", "Person", "create_app", "create_trial", "protect"]
