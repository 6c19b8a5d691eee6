"""Who may look: passwords as scrypt hashes, sessions, and waits that grow with wrong guesses."""

import base64
import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

COST, BLOCK_SIZE, PARALLEL = 1 << 15, 8, 1
MEMORY_BYTES = 64 << 20
MOST_MEMORY_COST = 1 << 17
SALT_BYTES, HASH_BYTES = 16, 32
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256

FREE_GUESSES = 5  # of one address; then each waits twice as long as the one before
LONGEST_WAIT_SECONDS = 900.0
FORGIVEN_SECONDS = 4 * 3600.0  # without a guess; waiting for that gains nobody any
GUESSES_OF_ALL, OF_ALL_SECONDS = 30, 60.0
ADDRESSES_REMEMBERED = 4096
SESSIONS = 256
IPV6_SITE_BITS = 64


def hashed(password: str) -> str:
    """Write a password so that it can be checked and not read."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK_SIZE, PARALLEL)
    kept = (base64.b64encode(one).decode() for one in (salt, digest))
    return ":".join(("scrypt", str(COST), str(BLOCK_SIZE), str(PARALLEL), *kept))


def is_password(password: str, kept: str) -> bool:
    """Check a password against its hash, in the same time whether or not it fits."""
    try:
        kind, cost, block_size, parallel, salt, digest = kept.split(":")
        numbers = (int(cost), int(block_size), int(parallel))
        if kind != "scrypt" or numbers[0] * numbers[1] > MOST_MEMORY_COST * BLOCK_SIZE:
            return False
        found = _scrypt(password, base64.b64decode(salt, validate=True), *numbers)
        return hmac.compare_digest(found, base64.b64decode(digest, validate=True))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallel,
        maxmem=max(MEMORY_BYTES, 256 * cost * block_size),
        dklen=HASH_BYTES,
    )


_Who = tuple[str, str]  # an address, and a name that is known there


@dataclass(slots=True)
class _Guesses:
    """How often somebody guessed wrong, and when the next guess may be made."""

    wrong: int = 0
    free_at: float = 0.0
    last_at: float = 0.0


@dataclass
class Gate:
    """Lets people in, one guess at a time, and knows them by a cookie afterwards."""

    users: Mapping[str, str]  # name: hash
    session_seconds: float
    clock: Callable[[], float] = time.monotonic
    _guesses: dict[_Who, _Guesses] = field(default_factory=dict, init=False)
    _of_all: deque[float] = field(default_factory=deque, init=False)
    _known: set[_Who] = field(default_factory=set, init=False)
    _sessions: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _one_at_a_time: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(2), init=False
    )

    def __post_init__(self) -> None:
        self._nobody = hashed(secrets.token_urlsafe())

    def wait_seconds(self, address: str, name: str) -> float:
        """Count a guess, and say how long it would have to wait; 0 lets it be made.

        It is counted before it is made: many at once get no more of them than one after another.
        A name that has logged in from an address has a count of its own there; all other names
        share the address's, which no login takes back: who has one password may not guess others.
        """
        who, now = (_site(address), name), self.clock()
        with self._lock:
            counted = who if who in self._known else (who[0], "")
            mine = self._guesses.pop(counted, _Guesses())
            if now - mine.last_at > FORGIVEN_SECONDS:
                mine = _Guesses()
            self._guesses[counted] = mine  # the last to be forgotten
            while len(self._guesses) > ADDRESSES_REMEMBERED:
                del self._guesses[next(iter(self._guesses))]
            if mine.free_at > now:
                return mine.free_at - now
            while self._of_all and self._of_all[0] <= now - OF_ALL_SECONDS:
                self._of_all.popleft()
            if len(self._of_all) >= GUESSES_OF_ALL and who not in self._known:
                return self._of_all[0] + OF_ALL_SECONDS - now
            self._of_all.append(now)
            mine.wrong, mine.last_at = mine.wrong + 1, now
            if mine.wrong >= FREE_GUESSES:
                wait = 2.0 ** min(mine.wrong - FREE_GUESSES, 20)
                mine.free_at = now + min(wait, LONGEST_WAIT_SECONDS)
            return 0.0

    def is_user(self, name: str, password: str) -> bool:
        """Check a name and a password; an unknown name takes as long as a known one."""
        with self._one_at_a_time:
            fits = is_password(password[:LONGEST_PASSWORD], self.users.get(name, self._nobody))
        return fits and name in self.users

    def let_in(self, name: str, address: str) -> str:
        """Begin a session, forgive this name's guesses, and return what the cookie holds."""
        who, now = (_site(address), name), self.clock()
        with self._lock:
            self._forgive(who)
            if len(self._known) < ADDRESSES_REMEMBERED:
                self._known.add(who)
            self._forget_old(now)
            while len(self._sessions) >= SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            token = secrets.token_urlsafe(32)
            self._sessions[_digest(token)] = (name, now + self.session_seconds)
            return token

    def _forgive(self, who: _Who) -> None:
        """Take back what a name guessed; of an address's guesses, only the one that was right."""
        if who in self._known:
            self._guesses.pop(who, None)
        elif (others := self._guesses.get((who[0], ""))) is not None:
            others.wrong -= 1
            if others.wrong < FREE_GUESSES:
                others.free_at = 0.0

    def who(self, token: str) -> str:
        """Say whose session it is; nothing for nobody's."""
        with self._lock:
            self._forget_old(self.clock())
            return self._sessions.get(_digest(token), ("", 0.0))[0] if token else ""

    def let_out(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(token), None)

    def _forget_old(self, now: float) -> None:
        for digest in [one for one, (_, until) in self._sessions.items() if until <= now]:
            del self._sessions[digest]


def _digest(token: str) -> str:
    """Name a session by what its cookie's holder alone can say."""
    return hashlib.sha256(token.encode()).hexdigest()


def _site(address: str) -> str:
    """Name who guesses: an IPv6 address has as many neighbors as its owner likes."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> IPV6_SITE_BITS << IPV6_SITE_BITS, 64)))
    return str(found)
