"""Every word that people see, in one catalog; a host adds languages as mappings of the same keys."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

ENGLISH = {
    "dir": "ltr",
    "platform": "Connected apps",
    "skip": "Skip to the content",
    "cancel": "Cancel",
    "window.title": "Authorize {app}",
    "window.accounts": "Choose an account",
    "window.hint": "The app gets access to this account and to no other.",
    "window.continue": "Continue",
    "window.none": "No account to choose",
    "window.astray": "{app} asked for an account that cannot be chosen here. Look which account you go on with, or"
    " cancel.",
    "window.until": "This page is valid until {time} UTC.",
    "consent.title": "{app} asks for permission",
    "consent.account": "Account",
    "consent.approved": "Already approved",
    "consent.approved.hint": "You agreed to these before.",
    "consent.awaiting": "Awaiting your approval",
    "consent.awaiting.hint": "The app gets these only if you agree.",
    "consent.nothing": "Nothing new is asked for.",
    "consent.required": "required",
    "consent.optional": "optional",
    "consent.agree": "Agree",
    "consent.after": "You go back to {place} afterwards.",
    "consent.empty": "No scope was left to agree to. Choose at least one, or cancel.",
    "market.title": "Marketplace",
    "market.lead": "Apps that can be connected to your accounts.",
    "market.empty": "There are no apps yet.",
    "market.kind.account": "For the whole account",
    "market.kind.agent": "For each agent",
    "market.kind.external": "For your own use",
    "market.scopes": "What it asks for",
    "market.scopes.none": "It asks for nothing.",
    "market.accounts": "Your accounts",
    "market.install": "Install on {account}",
    "market.not_installed": "Not installed",
    "market.ask": "Ask an admin of {account} to install it.",
    "market.elsewhere": "This app is connected from the app itself.",
    "gallery.title": "App Gallery",
    "gallery.lead": "Apps on {account}",
    "gallery.accounts": "Accounts",
    "gallery.empty": "No app is installed on this account.",
    "gallery.no_account": "You have no account.",
    "gallery.more": "Find apps in the marketplace",
    "gallery.settings": "Settings",
    "gallery.back": "All apps of {account}",
    "gallery.status": "Status",
    "gallery.expires": "Authorized until",
    "gallery.version": "Version",
    "gallery.scopes": "Granted",
    "gallery.available": "Available to all agents",
    "gallery.available.hint": "Agents of this account can use the app without authorizing it themselves.",
    "gallery.available.yes": "Agents can use this app.",
    "gallery.available.no": "Agents cannot use this app yet.",
    "gallery.available.on": "Make available",
    "gallery.available.off": "Stop availability",
    "gallery.gap": "The installed version asks for more than was agreed to.",
    "front.works": "{app} is connected to {account} and works.",
    "front.not_available": "{app} is authorized, but not available to you. Ask an admin of {account} to make it"
    " available to all agents.",
    "front.who": "Who can do this: {who}, at {where}.",
    "prompt.AUTHORIZE": "Authorize",
    "prompt.REAUTHORIZE": "Reauthorize",
    "state.active": "Connected",
    "state.unauthorized": "Not authorized",
    "state.account-selected": "Authorization under way",
    "state.consented": "Authorization under way",
    "state.refresh-expired": "Authorization ended",
    "state.reauthorizing": "Being reauthorized",
    "state.unusable": "Cannot be used now",
    "state.damaged": "Set aside by the platform",
    "problem.title": "That did not work",
    "problem.app": "App",
    "problem.account": "Account",
    "problem.reason": "Reason",
    "problem.who": "Who can act",
    "problem.home": "To the marketplace",
    "problem.again": "Start again",
    "problem.not_found": "There is no such page",
    "problem.not_found.next": "Or it is somebody else's. Look whether the address is right.",
    "problem.permission_denied": "This is for somebody else to do",
    "problem.permission_denied.next": "Nothing was changed.",
    "problem.refused": "This cannot be done now",
    "problem.refused.next": "Nothing was changed.",
    "problem.invalid_client": "Unknown app",
    "problem.invalid_client.next": "The link you followed names an app that is not registered here. Nothing was"
    " changed. Ask whoever gave you the link.",
    "problem.invalid_request": "The app's request is not in order",
    "problem.invalid_request.next": "You were not sent back, because the address in the request cannot be trusted."
    " Nothing was changed. The maker of the app can mend this.",
    "problem.bad_input": "The request is not in order",
    "problem.bad_input.next": "Nothing was changed. Go back, load the page again and repeat.",
    "problem.bad_callback": "This answer does not belong to a running authorization",
    "problem.bad_callback.next": "It was too late, was used before, or came from another browser. Nothing was"
    " changed. Start again from the app.",
    "problem.forged": "This form is not valid any more",
    "problem.forged.next": "It came from another site, or your session changed. Nothing was changed. Go back, load"
    " the page again and repeat.",
    "problem.unauthorized": "Please sign in",
    "problem.unauthorized.next": "Sign in to the platform, then open this page again.",
    "problem.later": "Try again in a moment",
    "problem.later.next": "A part of the platform does not answer. Nothing was changed.",
    "problem.elsewhere": "{app} starts its authorization itself",
    "problem.elsewhere.next": "Open {app} and connect it from there.",
    "problem.quarantined": "This installation was set aside",
    "problem.quarantined.next": "An operator of the platform has to look at it.",
    "outcome.cancelled": "The authorization was cancelled",
    "outcome.refused": "The authorization was refused",
    "outcome.expired": "The time for this authorization is over",
    "outcome.superseded": "A newer authorization took its place",
    "outcome.failed": "The authorization did not succeed",
    "outcome.wrong-account": "Another identity signed in",
    "outcome.wrong-account.next": "The sign-in belongs to somebody else than before. Start again and sign in as the"
    " same person.",
    "outcome.over": "Nothing that worked before was changed. Start again from the app.",
    "outcome.completed.again": "You agreed already. There is nothing left to do on this page.",
    "outcome.completed": "{app} is connected",
    "outcome.next": "Nothing that worked before was changed.",
}
"""Keys and English texts. `scope.<name>` may be added to say in words what a scope allows, and
`sentence.<prompt>` and `reason.<reason>` to say in another language what the engine's guidance says in English."""

_TRICKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")


def inert(text: object) -> str:
    r"""A name without control characters and without what turns the direction of the text around it.

    >>> inert("a\u202eb")
    'ab'
    """
    return _TRICKS.sub("", str(text))


def tint(key: str) -> int:
    """Which of the six colours an app's letter stands on, the same on every page."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % 6


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language; what it does not say is said in English."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its values; an unknown key is its own text."""
        text = self.find(key, **values)
        return key if text is None else text

    def find(self, key: str, **values: object) -> str | None:
        """The text of a key, or None where the catalog has none."""
        text = self.texts.get(key, ENGLISH.get(key))
        return None if text is None else text.format_map({name: inert(value) for name, value in values.items()})


def best_language(accepted: str, known: Mapping[str, Mapping[str, str]]) -> Words:
    """The first language of an Accept-Language header that the host speaks; English otherwise (RFC 9110 §12.5.4).

    >>> best_language("fr, de-AT;q=0.9", {"de": {}}).language
    'de'
    """
    wanted = []
    for place, part in enumerate(accepted[:500].split(",")):
        name, _, weight = part.strip().lower().partition(";q=")
        try:
            wanted.append((-float(weight or 1), place, name))
        except ValueError:
            continue
    for negative, _, name in sorted(wanted):
        for candidate in (name, name.partition("-")[0]):
            if negative < 0 and (candidate in known or candidate == "en"):
                return Words(candidate, known.get(candidate, {}))
    return Words("en", known.get("en", {}))
