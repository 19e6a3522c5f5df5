#!lua flags=allow-oom
-- OUTBOX_DECIDE: an operator says what becomes of a message that nobody sends any more: resend (of what is unknown or
-- failed) puts it at the end of its line again, drop (of what is unknown) gives it up.
-- KEYS: due, line of the recipient, the message, messages in state new, failed, unknown, activity.
-- ARGV: recipient, id, resend or drop, why it is dropped, account ("" when nobody wants to know), who says so.
-- Answer: 1 and the state it has now, or 0 and the state that is in the way, "" when there is no such message (any more).
-- include shared/note.lua
local due, line, message = KEYS[1], KEYS[2], KEYS[3]
local index = { new = KEYS[4], failed = KEYS[5], unknown = KEYS[6] }
local recipient, id, decision = ARGV[1], ARGV[2], ARGV[3]
local function tell(state)
  if ARGV[5] ~= '' then note(KEYS[7], 1, { record_of(id, message, ARGV[5], state, ARGV[6]) }) end
end

local state, at = unpack(redis.call('HMGET', message, 'state', 'at'))
if not state then return { 0, '' } end
if not (state == 'unknown' or (state == 'failed' and decision == 'resend')) then return { 0, state } end

local becomes = decision == 'resend' and 'new' or 'failed'
redis.call('ZREM', index[state], id)
redis.call('ZADD', index[becomes], at, id)
redis.call('HSET', message, 'state', becomes)
if decision == 'drop' then
  redis.call('HSET', message, 'error', ARGV[4])
  tell(becomes)
  return { 1, becomes }
end
-- What became of the last attempt must not pass for the outcome of the next one.
local over = { 'status', 'code', 'error', 'wamid', 'ended' }
for _, name in ipairs(redis.call('HKEYS', message)) do
  if string.sub(name, 1, 3) == 'at:' then over[#over + 1] = name end
end
redis.call('HDEL', message, unpack(over))
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', message, 'since', now) -- from here its day to get through begins anew
tell(becomes)
redis.call('RPUSH', line, id)
redis.call('ZADD', due, 'NX', now, recipient) -- a line that waits already has its time
return { 1, becomes }
