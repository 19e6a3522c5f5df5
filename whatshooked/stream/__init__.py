"""Everything that speaks Redis Streams: appending, routing, leases, settling, the cache and its upkeep.

`scripts/` holds one Lua file per step of the design; each Python module says in words what its scripts do in one step.
"""
