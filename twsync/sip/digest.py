"""Digest authentication (RFC 7616, 8760; RFC 3261 section 22), both sides, pure: times, secrets and client nonces come in.

Strict where a stock client loses nothing: ``qop=auth`` is demanded, a nonce count is taken once, ``auth-int`` is not offered.
"""

from __future__ import annotations

from twsync.sip.digestclient import Credentials
from twsync.sip.digestproof import Algorithm, ha1
from twsync.sip.digestserver import Lookup, Outcome, Verdict, Verifier

__all__ = ["Algorithm", "Credentials", "Lookup", "Outcome", "Verdict", "Verifier", "ha1"]
