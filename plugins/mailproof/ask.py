"""SPF, DKIM and DMARC asked of the DNS, for one mail. Runs in a worker process after the receipt; what has no answer stays open.

The engines are spf3 (SPF), dkimpy (DKIM) and dmarc (DMARC); the questions are dnspython's, all within one time limit.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import dkim
import dmarc
import dns.exception
import dns.resolver
import publicsuffixlist
import spf

from gateway_plugins.mailproof.judge import flags
from gateway_plugins.mailtext.origin import address, fields_of

SIGNATURES = 5
"""More signatures of one mail are not looked at: each costs a question and a look at the whole mail."""
MOST_BYTES = 8 * 1024 * 1024
"""A larger mail is not hashed: the evidence is not worth the time."""
REST_SECONDS = 60.0
"""After a time-out nobody is asked for so long, so that a dead resolver costs one mail its time and not every mail."""


class Unanswered(Exception):
    """The DNS gave no answer: nothing can be said, which is not a failure."""


class Resolver:
    """Questions to the given servers, or to nobody while they rest. ``clock`` is monotonic, in seconds."""

    def __init__(self, servers: Iterable[str], seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._asked = [_server(one) for one in servers]
        self._seconds = seconds
        self._clock = clock
        self._until = 0.0
        self._rest = 0.0

    def begin(self) -> bool:
        """A new mail with its whole time; False while the servers rest."""
        self._until = self._clock() + self._seconds
        return self._clock() >= self._rest

    def ask(self, name: str, kind: str) -> list[Any]:
        """The records of ``name``; none where there are none. Raises ``Unanswered``."""
        left = self._until - self._clock()
        if left <= 0:
            raise Unanswered
        try:
            return list(self._through().resolve(name, kind, lifetime=left, raise_on_no_answer=False))
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError):
            self._rest = self._clock() + REST_SECONDS
            raise Unanswered from None
        except (dns.exception.DNSException, ValueError, UnicodeError):
            return []

    def texts(self, name: str) -> list[bytes]:
        """The TXT records of ``name``."""
        return [b"".join(record.strings) for record in self.ask(name, "TXT")]

    def _through(self) -> dns.resolver.Resolver:
        made = dns.resolver.Resolver(configure=False)
        made.nameservers = [host for host, _port in self._asked]
        made.nameserver_ports = dict(self._asked)
        return made


def _server(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    return (host or text).strip("[]"), int(port) if port else 53


def check(
    body: bytes, *, peer: str, helo: str, mail_from: str, relays: Iterable[str], resolver: Resolver
) -> tuple[str, ...]:
    """The flags of a mail. ``peer`` empty or one of ours: SPF is not asked. Never raises for what a mail or a record holds."""
    if not resolver.begin():
        return ("sender_not_checked",)
    author = address(fields_of(body).raw("from")).rpartition("@")[2].lower().rstrip(".")
    results: dict[str, str] = {}
    spf_domain = (mail_from.rpartition("@")[2] or helo).lower()
    if _outside(peer, relays):
        results["spf"] = _spf(peer, helo, mail_from, resolver)
    signed = _dkim(body, resolver) if len(body) <= MOST_BYTES else {}
    if signed:
        results["dkim"] = "pass" if "pass" in signed.values() else "temperror" if "temperror" in signed.values() else "fail"
    passed = [domain for domain, result in signed.items() if result == "pass"]
    if results.get("spf") == "pass":
        passed.append(spf_domain)
    aligned = bool(author) and any(_organisation(domain) == _organisation(author) for domain in passed)
    enforced = True
    if author:
        with contextlib.suppress(Unanswered):
            policy = _policy(author, resolver)
            if policy is not None:
                enforced = policy.p is not dmarc.DMARCDisposition.NONE
                results["dmarc"] = _dmarc(policy, results.get("spf"), spf_domain, signed)
    open_questions = "spf" not in results or "temperror" in results.values()
    if results.get("dmarc") == "fail" and open_questions:
        del results["dmarc"]  # one of the two that could have passed was never answered
    return flags(results, aligned=aligned, enforced=enforced)


def _outside(peer: str, relays: Iterable[str]) -> bool:
    """Whether SPF can be asked of ``peer``: a public address that is no relay of ours."""
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(peer)
        found = getattr(found, "ipv4_mapped", None) or found
        return found.is_global and not any(found in ipaddress.ip_network(one, strict=False) for one in relays)
    return False


def _spf(peer: str, helo: str, mail_from: str, resolver: Resolver) -> str:
    spf.DNSLookup = lambda name, kind, *_given: _for_spf(resolver, name, kind)
    try:
        result, _why = spf.check2(i=peer, s=mail_from, h=helo or "unknown", querytime=8)
        return str(result)
    except Unanswered:
        return "temperror"
    except Exception:
        # The library meets what strangers wrote into the DNS; whatever it makes of that, nothing is known.
        return "permerror"


def _for_spf(resolver: Resolver, name: str, kind: str) -> list[Any]:
    """Records as spf3 wants them."""
    if kind not in ("A", "AAAA", "MX", "PTR", "TXT"):
        return []
    shapes: dict[str, Callable[[Any], Any]] = {
        "A": lambda r: r.address,
        "AAAA": lambda r: r.address,
        "MX": lambda r: (r.preference, r.exchange.to_text(True)),
        "PTR": lambda r: r.target.to_text(True),
        "TXT": lambda r: r.strings,
    }
    return [((name, kind), shapes[kind](record)) for record in resolver.ask(name, kind)]


def _dkim(body: bytes, resolver: Resolver) -> dict[str, str]:
    """Each signing domain with its result."""
    found: dict[str, str] = {}

    def key(name: bytes, timeout: float = 0) -> bytes | None:
        texts = resolver.texts(name.decode("ascii", "replace"))
        return texts[0] if texts else None

    whole = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    for number in range(min(SIGNATURES, len(fields_of(body).fields.get("dkim-signature", [])))):
        domain = f"?{number}"
        try:
            looked = dkim.DKIM(whole)
            prepared = looked.verify_headerprep(number)
            domain = looked.domain.decode("ascii", "replace").lower() if looked.domain else domain
            good = bool(prepared) and looked.verify(number, dnsfunc=key)
            result = "pass" if good else "fail"
        except Unanswered:
            result = "temperror"
        except Exception:
            # dkimpy raises much for a signature that strangers wrote; a broken one does not verify.
            result = "fail"
        if found.get(domain) != "pass":
            found[domain] = result
    return found


def _policy(author: str, resolver: Resolver) -> Any | None:
    """The DMARC policy of the domain of From, its own or its organisation's."""
    for domain in dict.fromkeys((author, _organisation(author))):
        for text in resolver.texts(f"_dmarc.{domain}"):
            if text.startswith(b"v=DMARC1"):
                with contextlib.suppress(dmarc.Error):
                    above = None if domain == author else domain
                    return dmarc.DMARC().parse_record(text.decode("ascii", "replace"), author, above, strict=False)
    return None


def _dmarc(policy: Any, spf_result: str | None, spf_domain: str, signed: dict[str, str]) -> str:
    engine = dmarc.DMARC(publicsuffix=_Suffixes())
    asked = dmarc.SPF(spf_domain, dmarc.SPFResult.PASS) if spf_result == "pass" and spf_domain else None
    good: list[str | None] = [domain for domain, result in signed.items() if result == "pass"]
    for domain in good or [None]:
        found = dmarc.DKIM(domain, dmarc.DKIMResult.PASS) if domain else None
        if engine.get_result(policy, spf=asked, dkim=found).result is dmarc.DMARCResult.PASS:
            return "pass"
    return "fail"


class _Suffixes:
    """The public suffix list as the engine asks for it."""

    @staticmethod
    def get_public_suffix(domain: str) -> str:
        return _organisation(domain)


@cache
def _list() -> publicsuffixlist.PublicSuffixList:
    return publicsuffixlist.PublicSuffixList()


def _organisation(domain: str) -> str:
    return _list().privatesuffix(domain) or domain


@cache
def resolver(servers: tuple[str, ...], seconds: float) -> Resolver:
    """The resolver of a process for these settings: it remembers for how long the servers rest."""
    return Resolver(servers, seconds)
