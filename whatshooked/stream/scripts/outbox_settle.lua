#!lua flags=allow-oom
-- OUTBOX_SETTLE: what came of a send. Only who holds the lease may say so, and what it knows for sure also settles what
-- another process has set aside as unknown since.
-- KEYS: due, hold, line, message, messages in state new, sending, sent, failed, unknown, activity.
-- ARGV: recipient, id, token, kind, delay (ms), hold (ms), reason of the hold, account ("" when nobody wants to
--   know), then fields to write.
--   kind: sent, failed, unknown; again = not sent, due again after the delay; free = never tried; resend = as again,
--   although it may have been sent.
-- Answer: the state the message has now, "" when the lease was lost.
-- include shared/note.lua
local due, hold, line, message = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local index = { new = KEYS[5], sending = KEYS[6], sent = KEYS[7], failed = KEYS[8], unknown = KEYS[9] }
local recipient, id, token, kind, delay = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local state, held, status, attempts = unpack(redis.call('HMGET', message, 'state', 'token', 'status', 'attempts'))
if tonumber(ARGV[6]) > 0 then redis.call('SET', hold, ARGV[7], 'PX', ARGV[6]) end
local sure = kind ~= 'unknown' and kind ~= 'resend'
if held ~= token or not (state == 'sending' or (state == 'unknown' and sure)) then return '' end

-- A status webhook may have come before the answer did: Meta has the message, and what the status says of it stands.
local news = #ARGV > 8
if status and kind ~= 'failed' then
  news = news and kind == 'sent' and status ~= 'failed'
  kind = status == 'failed' and 'failed' or 'sent'
end
if news then
  redis.call('HSET', message, unpack(ARGV, 9))
elseif kind == 'sent' then
  redis.call('HDEL', message, 'code', 'error') -- an earlier attempt's
end
local becomes = (kind == 'again' or kind == 'free' or kind == 'resend') and 'new' or kind
redis.call('HSET', message, 'state', becomes)
if becomes == 'failed' then redis.call('HSET', message, 'ended', string.format('%.0f', now)) end
if ARGV[8] ~= '' and kind ~= 'free' then note(KEYS[10], 1, { record_of(id, message, ARGV[8], becomes) }) end
local at = redis.call('ZSCORE', index[state], id)
redis.call('ZREM', index[state], id)
redis.call('ZADD', index[becomes], at or now, id)
if becomes == 'new' and kind == 'free' then
  redis.call('HSET', message, 'attempts', math.max(tonumber(attempts) - 1, 0))
end
local again = string.format('%.0f', now + delay)
if state == 'unknown' then -- it left its line when it was set aside
  if becomes == 'new' then
    redis.call('RPUSH', line, id)
    redis.call('ZADD', due, 'NX', again, recipient)
  end
  return becomes
end
if becomes == 'new' then
  redis.call('ZADD', due, again, recipient)
  return becomes
end
if redis.call('LINDEX', line, 0) == id then redis.call('LPOP', line) end
if redis.call('EXISTS', line) == 1 then
  redis.call('ZADD', due, now, recipient)
else
  redis.call('ZREM', due, recipient)
end
return becomes
