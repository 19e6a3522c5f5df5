#!lua flags=allow-oom
-- OUTBOX_SETTLE: what came of a send. Only who holds the lease may say so, and its answer also settles what another
-- process has set aside as unknown since.
-- KEYS: due, hold, line, message, messages in state new, sending, sent, failed, unknown.
-- ARGV: recipient, id, token, kind, delay (ms), hold (ms), reason of the hold, then fields to write.
--   kind: sent, failed, unknown; again = not sent, due again after the delay; free = never tried; resend = as again,
--   although it may have been sent.
-- Answer: the state the message has now, "" when the lease was lost.
local due, hold, line, message = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local index = { new = KEYS[5], sending = KEYS[6], sent = KEYS[7], failed = KEYS[8], unknown = KEYS[9] }
local recipient, id, token, kind, delay = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local state, held, status, attempts = unpack(redis.call('HMGET', message, 'state', 'token', 'status', 'attempts'))
if tonumber(ARGV[6]) > 0 then redis.call('SET', hold, ARGV[7], 'PX', ARGV[6]) end
if held ~= token or not (state == 'sending' or (state == 'unknown' and (kind == 'sent' or kind == 'failed'))) then return '' end

-- A status webhook may have come before the answer did.
if kind == 'unknown' or kind == 'resend' then kind = status and 'sent' or kind end
if kind == 'sent' and status == 'failed' then kind = 'failed' end
if #ARGV > 7 then redis.call('HSET', message, unpack(ARGV, 8)) end
local becomes = (kind == 'again' or kind == 'free' or kind == 'resend') and 'new' or kind
redis.call('HSET', message, 'state', becomes)
local at = redis.call('ZSCORE', index[state], id)
redis.call('ZREM', index[state], id)
redis.call('ZADD', index[becomes], at or now, id)
if state == 'unknown' then return becomes end -- it left its line when it was set aside
if becomes == 'new' then
  if kind == 'free' then redis.call('HSET', message, 'attempts', math.max(tonumber(attempts) - 1, 0)) end
  redis.call('ZADD', due, string.format('%.0f', now + delay), recipient)
  return becomes
end
if redis.call('LINDEX', line, 0) == id then redis.call('LPOP', line) end
if redis.call('EXISTS', line) == 1 then
  redis.call('ZADD', due, now, recipient)
else
  redis.call('ZREM', due, recipient)
end
return becomes
