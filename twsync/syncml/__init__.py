"""SyncML 1.0, 1.1 and 1.2 (OMA DS): documents, codecs, and both sides of a session, without I/O."""
