"""Descriptors for connections: the usual soft limit of 1024 is far below what the limits on connections allow."""

from __future__ import annotations

import resource

#: For the database, its log, listening ports, the log file and what the process holds open besides.
RESERVED = 64


def connections_possible(wanted: int) -> int:
    """Raise the process's soft limit as far as `wanted` connections need and the hard limit lets; how many there can be then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED))
