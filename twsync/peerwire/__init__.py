"""The peer protocol without I/O: frames, messages, and the order they may come in. See docs/protocol/peer.md."""
