"""Shards and scopes: which part of all customers one belongs to, and what its writer holds a fence of."""

from zlib import crc32

SHARDS = 256
"""Fixed for all time: a customer's shard never changes, which cell hosts it may."""

SHARD_SCOPES = "shard:"
OWN_SCOPES = "customer:"
"""How the scopes of each placement begin."""


def shard_of(customer: str) -> int:
    """CRC-32 of the id, modulo 256: stable across versions, machines and languages."""
    return crc32(customer.encode()) % SHARDS


def scope_of(customer: str) -> str:
    """The writer scope that a customer's units carry in pooled placement."""
    return _SCOPES[shard_of(customer)]


_SCOPES = tuple(f"{SHARD_SCOPES}{number}" for number in range(SHARDS))


def own_scope_of(customer: str) -> str:
    """The writer scope that a customer's units carry in dedicated placement."""
    return f"{OWN_SCOPES}{customer}"
