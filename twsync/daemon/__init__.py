"""The two daemons as twistd runs them."""
