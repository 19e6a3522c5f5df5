"""The crash harness: real processes die at chosen steps, and a ledger says what was lost or doubled.

    python -m ops.faults            the long run: a table and a verdict, exit code 0 or 1

ledger    what we acknowledged, what receivers accepted, what the cache holds: lost? stuck? doubled without a reason?
journal   what each worker process wrote down about its attempts, to tell which were cut off by a fault
steps     the places at which a process can be made to die or to freeze
mutants   known mistakes, put into the code on purpose: each must turn the ledger red
launch    runs one of our commands with a fault or a mutant in it (the product has no crash points)
valkey    a Redis that can be killed and started again on the same files
peers     Meta, who resends until it gets a 200, and the receivers of two hooks
stage     all the processes of one run
strikes   lets faults come about among the workers of a stage
campaign  one run: faults one after the other under traffic, then silence, then the verdict

The same for replies, with the simulated Meta's own record of messages as the witness:

reply_ledger    what customers asked for, what Meta took, what the outbox lists: missing? doubled? stuck? too fast?
reply_mutants   known mistakes on a reply's way
talk            the simulated Meta, customers who write, a hook that answers them
replies         one run
reply_runs      the long run's part about replies

And for files of messages, with the simulated Meta's log and the store's folder as the witnesses:

file_ledger     what messages brought, what hooks were told, what lies in the folder: bare? missing? torn? repeated?
file_mutants    known mistakes on a file's way
file_host       the simulated Meta with its files, messages that bring them, receivers that look where a link leads
shelf           the folder, as anybody sees it who lists it all the time
files           one run
file_runs       the long run's part about files
"""
