#!lua
-- OUTBOX_ADD: put a message at the end of its recipient's line, once per id. No allow-oom: a full Redis says no here,
-- a reply then stays where DONE put it, and who called the API is told.
-- KEYS: due, line of the recipient, messages in state new, the message, its idempotency key (the message again without one),
--   messages in state sending, activity.
-- ARGV: id, recipient, digest of what was asked, seconds an idempotency key lives (0 = none), messages of a line and of the
--   account that may wait (0 = any), the account ("" when nobody wants to know), then the message's fields.
-- Answer: id|digest of the message that stands, and 1 when this call put it there; or line or account, whichever is full, and -1.
-- include shared/note.lua
local due, line, index, message, known = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, recipient, name, ttl = ARGV[1], ARGV[2], ARGV[1] .. '|' .. ARGV[3], tonumber(ARGV[4])
if ttl > 0 then
  local before = redis.call('GET', known)
  if before then return { before, 0 } end
end
if redis.call('EXISTS', message) == 1 then return { name, 0 } end
local in_line, waiting = tonumber(ARGV[5]), tonumber(ARGV[6])
if in_line > 0 and redis.call('LLEN', line) >= in_line then return { 'line', -1 } end
if waiting > 0 and redis.call('ZCARD', index) + redis.call('ZCARD', KEYS[6]) >= waiting then return { 'account', -1 } end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', message, 'state', 'new', 'at', now, 'to', recipient, 'attempts', '0', unpack(ARGV, 8))
redis.call('RPUSH', line, id)
redis.call('ZADD', index, now, id)
redis.call('ZADD', due, 'NX', now, recipient) -- a line that waits already has its time
if ttl > 0 then redis.call('SET', known, name, 'EX', ttl) end
if ARGV[7] ~= '' then note(KEYS[7], 1, { record_of(id, message, ARGV[7], 'new') }) end
return { name, 1 }
