#!lua flags=allow-oom
-- DOUBT: a message that waits may have been sent: this Redis was restored from a time before. Nobody knows, so it
-- waits for an operator's word, or for its status.
-- KEYS: due, line of the recipient, the message, messages in state new, sending, unknown. ARGV: recipient, id, what to say.
-- Answer: 1 when it is in doubt now, 0 when it does not wait.
local due, line, message = KEYS[1], KEYS[2], KEYS[3]
local recipient, id = ARGV[1], ARGV[2]
local state, at = unpack(redis.call('HMGET', message, 'state', 'at'))
if state ~= 'new' and state ~= 'sending' then return 0 end
redis.call('ZREM', KEYS[4], id)
redis.call('ZREM', KEYS[5], id)
redis.call('ZADD', KEYS[6], at, id)
redis.call('HSET', message, 'state', 'unknown', 'error', ARGV[3])
redis.call('LREM', line, 0, id)
if redis.call('EXISTS', line) == 0 then redis.call('ZREM', due, recipient) end
return 1
