#!lua flags=allow-oom
-- OUTBOX_STATUS: a status webhook names a message of ours. Its record never goes backwards, and what was unknown is settled.
-- KEYS: message, messages in state sent, failed, unknown, activity.
-- ARGV: id, status, its time (ms), account ("" when nobody wants to know), then fields to write when it is news (wamid, code, error).
-- Answer: when the message was put into its line (ms) where this status is told of it for the first time, else 0.
-- include shared/note.lua
local message, index = KEYS[1], { sent = KEYS[2], failed = KEYS[3], unknown = KEYS[4] }
local id, status = ARGV[1], ARGV[2]
local ranks = { sent = 1, delivered = 2, read = 3, played = 4 }
local state, before, at, since = unpack(redis.call('HMGET', message, 'state', 'status', 'at', 'since'))
if not state then return 0 end
local first = redis.call('HSETNX', message, 'at:' .. status, ARGV[3]) == 1
local known = ranks[before or ''] or 0
local news = false
if status == 'failed' then
  news = before ~= 'failed' and known < 2
else
  news = before ~= 'failed' and (ranks[status] or 0) > known
end
if news then redis.call('HSET', message, 'status', status, unpack(ARGV, 5)) end
local becomes = state
if state == 'unknown' then becomes = status == 'failed' and 'failed' or 'sent' end
if state == 'sent' and news and status == 'failed' then becomes = 'failed' end
if becomes ~= state then
  redis.call('HSET', message, 'state', becomes)
  if becomes == 'sent' then redis.call('HDEL', message, 'code', 'error') end -- that it was unknown is no fault of it
  redis.call('ZREM', index[state], id)
  redis.call('ZADD', index[becomes], at, id)
  if ARGV[4] ~= '' then note(KEYS[5], 1, { record_of(id, message, ARGV[4], becomes) }) end
end
return first and tonumber(since or at) or 0
