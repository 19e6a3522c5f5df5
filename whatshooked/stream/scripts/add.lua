#!lua
-- ADD: append each event whose identity is new, and remember it, in one step. No allow-oom: a full Redis says no here,
-- the intake answers 503 and Meta keeps the event.
-- KEYS: events, activity, ledger, then one seen bucket per event.
-- ARGV: group, TTL of a bucket (s), refresh it below (s), then identity and blob per event, then, where somebody wants to
--   know, a packed note per event ("" for one that is noted elsewhere).
-- Answer: per event its id, with "=" in front when it had been taken before.
-- include shared/note.lua
local events = KEYS[1]
local count = #KEYS - 3
local notes = #ARGV > 3 + 2 * count and 3 + 2 * count
if redis.call('EXISTS', events) == 0 then
  redis.call('XGROUP', 'CREATE', events, ARGV[1], '0', 'MKSTREAM')
  redis.call('DEL', KEYS[3]) -- of a stream that somebody deleted
  redis.call('HSET', KEYS[3], 'base', 0)
end

-- Ids are chosen ahead of the append, so that HSETNX both asks and remembers: one command where HGET + HSET are two.
-- Behind the dash stand the microseconds and a count, which makes the ids of this call higher than those of any before.
local time = redis.call('TIME')
local micros = tonumber(time[2])
local head = string.format('%.0f-', tonumber(time[1]) * 1000 + math.floor(micros / 1000))
local seq = (micros % 1000) * 1000

-- Unless the clock was set back: then they go on from the last one.
local function after_the_last()
  local info = redis.call('XINFO', 'STREAM', events)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local dash = string.find(info[i + 1], '-', 1, true)
      head, seq = string.sub(info[i + 1], 1, dash), tonumber(string.sub(info[i + 1], dash + 1)) + 1
    end
  end
end

local ttl, refresh = ARGV[2], tonumber(ARGV[3])
local answer, fresh, told = {}, {}, {}
for i = 1, count do
  local bucket, identity, blob = KEYS[i + 3], ARGV[2 * i + 2], ARGV[2 * i + 3]
  local id = head .. string.format('%.0f', seq)
  if redis.call('HSETNX', bucket, identity, id) == 1 then
    local appended = redis.pcall('XADD', events, id, 'e', blob)
    if appended.err then
      after_the_last()
      id = head .. string.format('%.0f', seq)
      appended = redis.pcall('XADD', events, id, 'e', blob)
      if appended.err then
        redis.call('HDEL', bucket, identity) -- remembered but not kept would be lost at Meta's next try
        return appended
      end
      redis.call('HSET', bucket, identity, id)
    end
    seq = seq + 1
    if not fresh[bucket] then
      fresh[bucket] = true
      if redis.call('TTL', bucket) < refresh then redis.call('EXPIRE', bucket, ttl) end
    end
    answer[i] = id
    if notes and ARGV[notes + i] ~= '' then told[#told + 1] = record(id, ARGV[notes + i]) end
  else
    answer[i] = '=' .. redis.call('HGET', bucket, identity)
  end
end
note(KEYS[2], #told, told)
return answer
