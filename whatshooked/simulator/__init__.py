"""A local Meta: Graph API, phones and webhooks for demo, development and tests (`python -m whatshooked.simulator`).

asked    app.py           the application; faulty.py breaks calls by rule (rules.py)
         graph.py         path -> version, object, token (access.py), limits (limits.py), handler (call.py)
         sending.py       messages: validate.py (interactive.py, template_shape.py, shapes.py) says what they must look
                          like, templated.py whether they fit their template, conversations.py who talks with whom
         media.py         uploads and ids, filetypes.py what may be one; files.py the bytes, on a path of their own
         templates.py setup.py numbers.py    the other handlers, with tokens.py, callbacks.py, registration.py,
                          nodes.py, health.py, paging.py
         refusals.py      Graph's own error objects
tells    arrivals.py      a user writes: inbound.py and its parts make the message, samples.py a file
         statuses.py      what becomes of a sent message; failures.py why not; fields.py and its parts all else
         webhooks.py      which callback URL, and tries until 200 comes; wire.py the bytes and their signature
         offline.py       the same for a gateway whose app secret is known, without a simulator
knows    world.py         one simulated Meta; model.py its state, statefile.py the state as a file, clock.py its time,
                          knobs.py its switches, ids.py the ids it makes up
         control.py       `/_sim/`: what tests and the phone turn and read; acts.py what befalls a world on command
beside   receiver.py      a sample hook

No price, no review of templates, no policy and no transcoding of media: what passes here is no proof against Meta.
"""
