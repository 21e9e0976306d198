"""What a session decides: items, versions, the plan. Pure functions, no I/O."""
