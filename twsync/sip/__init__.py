"""SIP (RFC 3261) without I/O: grammar, framing, transactions, dialogs, digest, keepalive, reginfo.

Bytes and times come in as arguments, messages and timers go out as values; `twsync.transport.siptls` gives them a connection and a clock.
"""
