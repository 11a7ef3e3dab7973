"""Who is there? Asked both ways before anything else, and how frames are sealed.

    activator   Hello(name, nonce, versions)
    autoscaler  Challenge(nonce, version, proofs)    or Refused
    activator   Proof(proof)
    autoscaler  Welcome                              or Refused

A proof is an HMAC over both nonces and all that was said, so it is good for this link
and this side of it only; the secret itself never travels. The same secret makes the key
with which every frame that follows is sealed.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable

from autoscaler.core.frames import Challenge, Hello, Proof

OLDEST = 1
NEWEST = 1
"""Versions of the link that this release speaks."""

Keys = tuple[bytes, ...]
"""Secrets that count now, the newest first."""

_SHORTEST = 16
_MOST = 2


class SecretError(ValueError):
    """The secret is not one; the message never says what it is."""


class SealError(ValueError):
    """A frame was not sealed by the other side, or not as the next one."""


def keys(text: bytes) -> Keys:
    """Return the secrets in a file, one a line; two while they are being changed.

    >>> keys(b"correct horse battery\\n\\n")
    (b'correct horse battery',)
    """
    found = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not 1 <= len(found) <= _MOST:
        rule = f"must be one line, or {_MOST} while they are changed"
        raise SecretError(f"the link's secret has {len(found)} lines, {rule}")
    for number, each in enumerate(found, 1):
        if len(each) < _SHORTEST:
            rule = f"must have at least {_SHORTEST}"
            raise SecretError(
                f"line {number} of the link's secret has {len(each)} bytes, {rule}"
            )
    return found


def common(hello: Hello, oldest: int = OLDEST, newest: int = NEWEST) -> int | str:
    """Return the newest version that both speak, or why there is none.

    >>> hello = Hello(name="a", instance="1", nonce="", oldest=2, newest=4)
    >>> common(hello, 1, 3), common(hello, 3, 9)
    (3, 4)
    >>> common(hello, 5, 6)
    'activator a speaks versions 2 to 4 of the link, this autoscaler 5 to 6'
    """
    version = min(hello.newest, newest)
    if version >= max(hello.oldest, oldest):
        return version
    return (
        f"activator {hello.name} speaks versions {hello.oldest} to {hello.newest} of "
        f"the link, this autoscaler {oldest} to {newest}"
    )


def challenge(known: Keys, hello: Hello, nonce: str, version: int) -> Challenge:
    """Answer *hello*, with a proof for each secret that is known."""
    said = _said(hello, nonce, version)
    proofs = tuple(_mac(key, "autoscaler", said) for key in known)
    return Challenge(nonce=nonce, version=version, proofs=proofs)


def prove(known: Keys, hello: Hello, heard: Challenge) -> tuple[Proof, bytes] | None:
    """Return the answer to a challenge and the key for seals.

    None: who sent it knows none of our secrets, or it speaks of another greeting.
    """
    if not hello.oldest <= heard.version <= hello.newest:
        return None
    said = _said(hello, heard.nonce, heard.version)
    key = _who(known, "autoscaler", said, heard.proofs)
    if key is None:
        return None
    return Proof(proof=_mac(key, "activator", said)), _sealing(key, said)


def accept(known: Keys, hello: Hello, sent: Challenge, heard: Proof) -> bytes | None:
    """Return the key for seals; None: who greeted us knows none of our secrets."""
    said = _said(hello, sent.nonce, sent.version)
    key = _who(known, "activator", said, (heard.proof,))
    return None if key is None else _sealing(key, said)


class Seal:
    """Mark what goes one way so that nothing else can pass for it.

    Frames are numbered: one that is repeated, left out or out of turn is not accepted.
    """

    SIZE = 32
    """Characters in front of a frame."""

    def __init__(self, key: bytes, way: str) -> None:
        self._key = key
        self._way = way.encode()
        self._number = 0

    def put(self, text: str) -> str:
        """Return the next frame, with *text* in it."""
        return self._next(text.encode()) + text

    def open(self, frame: str) -> str:
        """Return what is in the next frame; SealError: it is not the next."""
        try:
            data = frame.encode()
        except UnicodeEncodeError as error:
            raise SealError("a frame is not text") from error
        ours = self._next(data[self.SIZE :]).encode()
        if not hmac.compare_digest(ours, data[: self.SIZE]):
            raise SealError("a frame was not sealed by who is on the other side")
        return frame[self.SIZE :]

    def _next(self, text: bytes) -> str:
        said = b"%s %d %s" % (self._way, self._number, text)
        self._number += 1
        return hmac.digest(self._key, said, "sha256").hex()[: self.SIZE]


def _said(hello: Hello, nonce: str, version: int) -> bytes:
    # Field by field: a newer release may say more in its Hello, which we do not see.
    said = [hello.name, hello.instance, hello.nonce, hello.oldest, hello.newest]
    return json.dumps([*said, hello.term, nonce, version]).encode()


def _mac(key: bytes, who: str, said: bytes) -> str:
    return hmac.digest(key, who.encode() + b" " + said, "sha256").hex()


def _sealing(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, b"frames " + said, "sha256")


def _who(known: Keys, who: str, said: bytes, proofs: Iterable[str]) -> bytes | None:
    heard = [each.encode(errors="replace") for each in proofs]
    for key in known:
        ours = _mac(key, who, said).encode()
        if any(hmac.compare_digest(ours, each) for each in heard):
            return key
    return None
