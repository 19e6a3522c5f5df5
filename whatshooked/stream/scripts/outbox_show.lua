#!lua flags=allow-oom
-- OUTBOX_SHOW: this process has the account in its config. A script, because a full Redis refuses a plain SET, and what
-- waits would be taken for a removed account's just when it has to drain.
-- KEYS: shown. ARGV: how long that counts (ms). Answer: 1.
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return 1
