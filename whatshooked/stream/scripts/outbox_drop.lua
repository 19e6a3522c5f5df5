#!lua flags=allow-oom
-- OUTBOX_DROP: an account was removed from the config; what waits in some of its lines ends, from their heads on.
-- KEYS: shown, due, messages in state new, sending, sent, failed, unknown, activity, then per line: the line and each message.
-- ARGV: why it ends, why a lease ended, lines (msgpack [[recipient, [id, ...]], ...]), account ("" when nobody
--   wants to know).
-- Answer: ids that failed, ids that became unknown; or nothing of both when a process shows the account.
-- include shared/note.lua
local due, told = KEYS[2], {}
local index = { new = KEYS[3], sending = KEYS[4], sent = KEYS[5], failed = KEYS[6], unknown = KEYS[7] }
local failed, unknown = {}, {}
if redis.call('EXISTS', KEYS[1]) == 1 then return { failed, unknown } end -- it is back
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function ends(id, message, from, to, why)
  local at = redis.call('ZSCORE', index[from], id)
  redis.call('ZREM', index[from], id)
  redis.call('ZADD', index[to], at or now, id)
  redis.call('HSET', message, 'state', to, 'ended', string.format('%.0f', now))
  if why then
    redis.call('HSET', message, 'error', why)
    redis.call('HDEL', message, 'code') -- an earlier attempt's
  end
  if ARGV[4] ~= '' then told[#told + 1] = record_of(id, message, ARGV[4], to) end
end

local place = 9
for _, row in ipairs(cmsgpack.unpack(ARGV[3])) do
  local recipient, line = row[1], KEYS[place]
  local waits = tonumber(redis.call('ZSCORE', due, recipient) or 0)
  for i, id in ipairs(row[2]) do
    local message = KEYS[place + i]
    local state, status = unpack(redis.call('HMGET', message, 'state', 'status'))
    -- Its head may be in flight, at a process that has yet to read the new config.
    if redis.call('LINDEX', line, 0) ~= id or (state == 'sending' and waits > now) then break end
    if state and status then
      ends(id, message, state, status == 'failed' and 'failed' or 'sent') -- Meta had it
    elseif state == 'sending' then
      ends(id, message, state, 'unknown', ARGV[2])
      unknown[#unknown + 1] = id
    elseif state == 'new' then
      ends(id, message, state, 'failed', ARGV[1])
      failed[#failed + 1] = id
    end
    redis.call('LPOP', line)
    waits = 0
  end
  if redis.call('EXISTS', line) == 0 then redis.call('ZREM', due, recipient) end
  place = place + #row[2] + 1
end
note(KEYS[8], #told, told)
return { failed, unknown }
