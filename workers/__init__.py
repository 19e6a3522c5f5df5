"""The worker processes: arq hosts them, the loops here do the work.

consumer   reads entries and routes them          due       claims what is due again
attempt    makes one attempt and settles it       recover   heartbeat, and what dead processes left
slots      how many attempts a hook may have      accounts  are the credentials accepted?
process    starts all this and the upkeep of `whatshooked/stream/upkeep.py`, watches it, stops it in order
settings   one screen that tells what runs        boot      its config and Redis, before anything is imported
arq_keys   arq's own keys under our prefix           rounds    which loops come round, and when each did last
"""
