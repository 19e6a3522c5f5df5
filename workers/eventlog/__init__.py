"""The event log's writers, in a process of their own beside the worker: deliveries do not wait for rows to be made.

keeper    in each worker: takes the turn for all targets, and keeps the process that writes them
process   that process: one writer a target, until its worker says so or is gone
writer    what happened goes to one target, in batches, at its own pace
"""
