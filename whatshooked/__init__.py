"""WhatsHooked: durable gateway for WhatsApp Business Cloud API webhooks.

The path of one event, file by file, in the order in which it takes them:

in       web/app.py                 the application; web/gateway.py holds what a web process has
         web/webhook.py             GET verifies; POST reads the body and answers 200 once Redis has it all
         meta/signature.py          is this body Meta's?
         meta/payload.py            body -> items, none lost (meta/scan.py, meta/change.py, meta/items.py;
                                    meta/lenient.py takes odd JSON)
         meta/accounts.py           whose item is it?
         meta/decode.py             item -> Event (events.py), with its identity for deduplication
         stream/intake.py           what waits goes in one round trip (stream/coalesce.py, stream/link.py)
         stream/scripts/add.lua     seen before? else appended and remembered, in one step

out      workers/consumer.py        reads entries (stream/consume.py) and asks hooks/hook.py who wants them
         stream/scripts/route.lua   parked: a hook's share is open and due, or nobody wanted it
         workers/attempt.py         one attempt: meta/flatten.py makes the payload, hooks/delivery.py posts it
         hooks/signing.py           the headers by which receivers know an event
         stream/settle.py           what came of it, in batches:
         stream/scripts/done.lua    that hook took it; nothing open any more: acknowledged, it leaves the cache
         stream/scripts/retry.lua   due again (hooks/retry.py says when), or dead and kept

files    workers/media.py           an event with a file is routed to `_media` first, and the hooks are held for it
         workers/fetch.py           where is it (meta/attachment.py, meta/media.py), is it what was told, keep it;
                                    workers/fetch_retry.py, workers/pace.py say when
         media/store.py             what keeps files does: media/local.py in a folder, media/remote.py in a bucket
         media/part.py              one on its way in, unseen until it is whole (media/names.py says how it is called)
         stream/scripts/media_done.lua   what was found (stream/record.py) is noted, and the hooks are let go
         workers/bodies.py          the payload with the file as this hook wants it (media/links.py)
         web/media.py               serves it, to hooks by a signed link
         workers/files.py           has media/sweep.py remove those that media/retention.py says have to go

back     meta/reply.py              what the hook's answer asks to send (meta/send checks it); workers/replies.py
                                    hands it to DONE, which keeps it in the same step
         workers/outbox.py          moves replies into the outbox, claims what is due, sends it, settles it
         stream/outbox.py           a line per recipient, leases, rates (stream/scripts/outbox_*.lua); stream/message.py
                                    is what it keeps of each
         workers/throughput.py      how many a second a number may pass
         workers/uploads.py         files of our store go to Meta before their message (web/uploads.py takes them in)
         workers/outcome.py         Graph's answer -> sent, failed, unknown, or again later
         workers/statuses.py        a status webhook of a message of ours settles what was unknown

asked    web/messages.py            the API that sends and says what became of it; cli/send.py, cli/messages.py too
         stream/outbox_view.py      what it shows of itself
         stream/outbox_upkeep.py    keeps it in bounds, and ends what waits for removed accounts; stream/refused.py has
                                    the replies that nobody sends
         stream/submit.py           a request -> the outbox, once per Idempotency-Key; stream/messages.py lists them

again    workers/due.py             claims what is due, as far as workers/slots.py has room (stream/leases.py)
         stream/scripts/claim.lua   a lease on each, counted as an attempt
         workers/recover.py         heartbeat; takes over what dead processes had read (stream/scripts/recover.lua)
         workers/process.py         starts, watches and stops all this; workers/settings.py shows it to arq
         stream/upkeep.py           limits, history, removed hooks
         workers/accounts.py        asks Graph (meta/graph.py, meta/setup.py) whether each account's credentials hold;
                                    workers/outlook.py and workers/traffic.py see what will go wrong, or did in silence

looked   stream/cache.py            the pending list is the message cache; stream/views.py shows it
at       stream/replay.py           replay, delete, clear
         stream/registry.py         which hooks there are, and their run-time switches
         stream/look.py             whom it concerns that something waits or failed, and stream/look_outbox.py: within
                                    stream/bounds.py, by small answers (stream/peek.py), counted by stream/customers.py
         web/customers.py           tells it to Grafana in its words (web/instant.py), cli/customers.py in the terminal
         stream/fsck.py             do the keys agree? stream/outbox_fsck.py asks it of the outboxes
         stream/ledger.py           is every event settled, in the cache, or unread?
         web/cache.py               the same as an API, with web/hooks.py and web/auth.py; web/health.py has the metrics
         scrape.py                  serves them on a port of their own, with what stream/standing.py sees in Redis
         cli/health.py              is this process well, as container platforms ask: workers/rounds.py says which loops
                                    come round

logged   stream/activity.py         what is done is noted in the step that does it (stream/scripts/shared/note.lua)
                                    while somebody wants to know
         workers/eventlog/__init__.py  one worker at a time (stream/turn.py) has it written, in a process of its own:
                                    what each target's group has read (stream/follow.py)
         eventlog/compose.py        records -> rows (eventlog/row.py), with what meta/brief.py shows of their events
         eventlog/target.py         what a target does: eventlog/files/__init__.py, eventlog/sql/__init__.py
         web/events.py              rows over HTTP: web/readers.py asks the targets, eventlog/export.py and
                                    eventlog/parquet.py make files of it, web/live.py tells what happens now
                                    (web/flow.py has it in order; web/streamed.py sends it; web/server.py ends it)
         cli/eventlog/__init__.py   the same in the terminal
         people.py                  one person forgotten: stream/person.py, media/person.py, then every target

around   config/__init__.py         config.json -> frozen Structs, every fault at once; config/environment.py gives
                                    what the file leaves out
         boot.py                    what each process does first; embedded/__init__.py is the bundled server
         stream/durability.py       can this Redis keep what we promise? stream/layout.py: are its keys ours to touch?
         cli/main.py                the commands; cli/supervisor.py keeps processes running
         cli/init.py                writes a config (cli/lookup.py: what Meta shows of it); cli/account mends what
                                    cli/doctor finds wrong
         cli/backup                 the whole state copied while it runs, and put back (stream/restored.py)
         cli/simulate, cli/phone    be the customer; simulator/__init__.py is the local Meta of demo and tests
         simulator/demo             a sample hook for a first run (cli/demo.py, cli/demo_folder.py), and its story
         traces/__init__.py         OpenTelemetry, when it is on: a span of each webhook and each attempt, one trace
         keys.py errors.py logs.py  every Redis key, every error; the log
         metrics/__init__.py        what processes count together (metrics/folder.py), shown before it happens
                                    (metrics/zeros.py); metrics/facts.py: what is known
"""

__version__ = "0.1.0"
