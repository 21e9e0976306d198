"""The control server: registrar, stateful record-routing proxy, presence, stored requests.

It introduces devices to each other and never sees their data.
"""
