"""What of a log never enters the lake: texts, and the ids of people."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ultr.errors import DataError, UsageError
from ultr.logs.chunk import Chunk
from ultr.manifest import Manifest

MIN_SALT_BYTES = 16
_PSEUDONYM_BYTES = 16


@dataclass(frozen=True)
class Privacy:
    """What a lake keeps of texts and people; the same for all its sources.

    Args:
        no_text: keep ids of queries and documents only, no text of theirs and none of rejects.
        salt: the key under which user and session ids are hashed; None keeps them as they are.
    """

    no_text: bool = False
    salt: bytes | None = None

    def applied(self, chunk: Chunk) -> Chunk:
        """The chunk without what the lake must not keep; keys are left for their ids."""
        if not self.no_text and self.salt is None:
            return chunk
        pages = chunk.pages
        if self.no_text:
            gone = [pl.lit(None, pl.String).alias(c) for c in ("query_text", "reformulation")]
            pages = pages.with_columns(gone)
        if self.salt is not None:
            pages = pages.with_columns(
                pseudonyms(pages["user_id"], self.salt),
                pseudonyms(pages["session_id"], self.salt),
            )
        events = chunk.events
        if self.salt is not None and events is not None:
            people = ("user_id", "session_id", "client_id")
            events = events.with_columns(pseudonyms(events[c], self.salt) for c in people)
        # A rejected line may hold anything, whichever of the two was asked for.
        return dataclasses.replace(
            chunk, pages=pages, events=events, rejects=chunk.rejects.with_columns(text=pl.lit(""))
        )

    def policy(self) -> dict[str, Any]:
        """What the manifest keeps: never the salt, only by what it is recognised."""
        return {"no_text": self.no_text, "hash_users": self._fingerprint()}

    def settle(self, manifest: Manifest) -> None:
        """Make the lake's policy this one, or check that it is.

        Raises:
            UsageError: the lake was made with another policy, or with another salt.
        """
        if not manifest.sources:
            manifest.meta["privacy"] = self.policy()
        before, now = manifest.meta.get("privacy", Privacy().policy()), self.policy()
        for name, flag in (("no_text", "--no-text"), ("hash_users", "--hash-users SALT_FILE")):
            if before[name] == now[name]:
                continue
            kind = "another salt" if before[name] and now[name] else "and without"
            got = f"{flag} before, now {kind}" if before[name] else f"{flag} now, and not before"
            raise UsageError(
                "all of a lake is ingested with the same --no-text and --hash-users",
                got=got,
                hint="give the same as before, or ingest into a new lake",
            )

    def _fingerprint(self) -> str | None:
        if self.salt is None:
            return None
        return hashlib.blake2b(b"", key=_key(self.salt), digest_size=8, person=b"print").hexdigest()


def pseudonyms(ids: pl.Series, salt: bytes) -> pl.Series:
    """Keyed hashes (BLAKE2b) of ids: one salt, one pseudonym; null stays null."""
    key = _key(salt)
    distinct = ids.drop_nulls().unique()
    hashed = [
        hashlib.blake2b(i.encode(), key=key, digest_size=_PSEUDONYM_BYTES).hexdigest()
        for i in distinct
    ]
    return ids.replace_strict(distinct, pl.Series(hashed, dtype=pl.String), default=None,
                              return_dtype=pl.String)  # fmt: skip


def read_salt(path: Path) -> bytes:
    """The salt in a file, without the white space around it.

    Raises:
        DataError: the file cannot be read.
        UsageError: fewer than 16 bytes.
    """
    try:
        salt = path.read_bytes().strip()
    except OSError as error:
        raise DataError(
            "the salt stands in a readable file",
            got=f"{path}: {error.strerror}",
            hint="make one: head -c 32 /dev/urandom | base64 > salt",
        ) from error
    if len(salt) < MIN_SALT_BYTES:
        raise UsageError(
            f"a salt has at least {MIN_SALT_BYTES} bytes",
            got=f"{len(salt)} in {path}",
            hint="make one: head -c 32 /dev/urandom | base64 > salt",
        )
    return salt


def _key(salt: bytes) -> bytes:
    return hashlib.blake2b(salt).digest()
