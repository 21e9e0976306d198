"""The host's side: the SIP user agent, the sessions, the local interface (`twistd syncpeer`)."""
