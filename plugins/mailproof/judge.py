"""What was found about a sender, as flags of the message, and what it comes to. Pure.

Sources: RFC 8601 (Authentication-Results), RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from gateway_plugins.mailtext.origin import fields_of

METHODS = ("spf", "dkim", "dmarc")
CONFIRMED = "sender_confirmed"
DOUBTFUL = "sender_doubtful"
MOST_FIELDS = 20
FIELD_BYTES = 4096
FAILED = ("fail", "hardfail", "policy")


def relay_flags(body: bytes, ids: Iterable[str]) -> tuple[str, ...]:
    """The flags that the relays with these authserv-ids give a mail; those of anybody else are not looked at."""
    trusted = {one.lower() for one in ids}
    if not trusted:
        return ()
    import authres

    said: dict[str, set[str]] = {}
    for value in fields_of(body).fields.get("authentication-results", [])[:MOST_FIELDS]:
        text = value[:FIELD_BYTES].decode("utf-8", "replace")
        with contextlib.suppress(Exception):  # a field that cannot be parsed says nothing
            header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {text}")
            if str(header.authserv_id).lower() in trusted:
                for one in header.results:
                    said.setdefault(str(one.method).lower(), set()).add(str(one.result).lower())
    return flags({method: _one(method, results) for method, results in said.items() if method in METHODS})


def _one(method: str, results: set[str]) -> str:
    """Of several results of one method: one good signature is enough, else a failure counts before a pass."""
    failed = not results.isdisjoint(FAILED)
    if "pass" in results and (method == "dkim" or not failed):
        return "pass"
    return "fail" if failed else min(results)


def flags(results: dict[str, str], *, aligned: bool = False, enforced: bool = True) -> tuple[str, ...]:
    """``spf_pass``, ``dmarc_fail`` … and what they come to.

    ``aligned``: SPF or DKIM speak for the domain of From itself. ``enforced``: the domain's own policy is to act on a failure; a
    policy that asks for reports alone (p=none) is not held against a mail.
    """
    found = [f"{method}_{results[method]}" for method in METHODS if results.get(method)]
    dmarc = results.get("dmarc")
    if dmarc == "pass" or (dmarc != "fail" and aligned):
        found.append(CONFIRMED)
    elif (dmarc == "fail" and enforced) or (dmarc != "fail" and results.get("spf") == "fail" and results.get("dkim") != "pass"):
        found.append(DOUBTFUL)
    return tuple(found)


def merged(known: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """The flags of a message with ``more``; what confirms a sender outweighs a doubt of the other side."""
    both = tuple(dict.fromkeys((*known, *more)))
    return tuple(flag for flag in both if flag != DOUBTFUL) if CONFIRMED in both else both
