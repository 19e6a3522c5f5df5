"""A local Meta: Graph API, phones and webhooks for demo, development and tests (`python -m whatshooked.simulator`).

asked    app.py       the application; faulty.py breaks calls by rule (rules.py)
         graph/       a call: dispatch.py finds version, object and handler (call.py), access.py the token, limits.py
                      the rates; refusals.py are Graph's own error objects
         messages/    what the business sends: validate.py says what it must look like, templated.py whether it fits its
                      template, conversations.py who talks with whom, statuses.py what becomes of it
         media/       uploads, ids and URLs that expire (store.py), their bytes (files.py), samples of each kind
         account/     apps, tokens, businesses, WABAs, numbers and templates, as the set-up calls see them
tells    people/      a user writes: arrivals.py lets it happen, inbound.py makes the message; offline.py does the same
                      for a gateway whose app secret is known, without a simulator
         fields/      a plausible webhook of every other field
         webhooks/    delivery.py: which callback URL, and tries until 200 comes; wire.py the bytes and their signature
knows    world/       one simulated Meta: model.py its state, statefile.py the state as a file, clock.py its time,
                      knobs.py its switches, ids.py the ids it makes up
         control.py   `/_sim/`: what tests and the phone turn and read; acts.py what befalls a world on command
beside   demo/        the sample receiver of a first run, and the story it tells

No price, no review of templates, no policy and no transcoding of media: what passes here is no proof against Meta.
"""
