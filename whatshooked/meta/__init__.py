"""Everything that knows Meta's Cloud API, and nothing else does.

    signature   is this body Meta's?
    payload     body -> items: each message, status and other thing in it, none lost
    decode      item -> the event that enters the stream, with its identity for deduplication
    flatten     event -> what hooks receive (text: what a message says)
    lenient     the JSON that other parsers refuse: too deep, NaN, lone surrogates, broken UTF-8

These are pure: no I/O, no clock, no log.
"""
