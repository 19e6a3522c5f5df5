"""Tools of those who run and build WhatsHooked; nothing of the product imports them.

faults   kills, freezes and restarts everything while an honest ledger counts what was lost
"""
