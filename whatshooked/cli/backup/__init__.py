"""The state of a gateway copied while it runs, and put back.

<folder>/backup.json      what is here, written last: a folder that has it is whole
<folder>/config.json      the config, without what its `env:` and `file:` values name
<folder>/redis/           the append-only file of the embedded server
<folder>/media/           the stored files, equal contents once
<folder>/events/          the event log's files
<folder>/events.sqlite    the event log's database

Redis comes first: what it says of a file or of the log is older than these, and never names what they lack.
"""
