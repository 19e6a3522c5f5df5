"""Everything that knows Meta's Cloud API, and nothing else does.

    signature   is this body Meta's?
    payload     body -> items: each message, status and other thing in it, none lost
                (items: what an item is; change: the careful way through a body)
    accounts    item -> the account it belongs to
    decode      item -> the event that enters the stream, with its identity for deduplication
    flatten     event -> what hooks receive (text: what a message says)
    scan        JSON taken apart without decoding it, at any depth
    lenient     values of JSON that other parsers refuse: NaN, lone surrogates, broken UTF-8
    codes       Meta's error codes -> what to do about them
    graph       calls to Meta, for all accounts: codes and failure say what a refusal means, usage keeps the limits
    setup       the calls that set an account up and look at it; objects are what they return

All but graph and setup are pure: no I/O, no clock, no log.
"""
