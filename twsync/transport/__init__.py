"""Where twsync meets Twisted: TLS contexts and pinning, SIP over TLS, the data channel."""
