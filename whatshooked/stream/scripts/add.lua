#!lua
-- ADD: append each event whose identity is new, and remember it, in one step. No allow-oom: a full Redis says no here,
-- the intake answers 503 and Meta keeps the event.
-- KEYS: events, then one seen bucket per event.
-- ARGV: group, TTL of a bucket (s), refresh it below (s), then identity and blob per event.
-- Answer: per event its id, with "=" in front when it had been taken before.
local events = KEYS[1]
local info = redis.pcall('XINFO', 'STREAM', events)
if info.err then
  redis.call('XGROUP', 'CREATE', events, ARGV[1], '0', 'MKSTREAM')
  info = redis.call('XINFO', 'STREAM', events)
end
local last
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end

-- Ids are chosen here, ahead of the append, so that HSETNX both asks and remembers: one command where HGET + HSET are two.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dash = string.find(last, '-', 1, true)
local ms, seq = tonumber(string.sub(last, 1, dash - 1)), tonumber(string.sub(last, dash + 1))
if now > ms then
  ms, seq = now, -1
end
local head = string.format('%.0f-', ms)

local ttl, refresh = ARGV[2], tonumber(ARGV[3])
local answer, fresh = {}, {}
for i = 2, #KEYS do
  local bucket, identity, blob = KEYS[i], ARGV[2 * i], ARGV[2 * i + 1]
  local id = head .. (seq + 1)
  if redis.call('HSETNX', bucket, identity, id) == 1 then
    seq = seq + 1
    local appended = redis.pcall('XADD', events, id, 'e', blob)
    if type(appended) == 'table' and appended.err then
      redis.call('HDEL', bucket, identity) -- remembered but not kept would be lost at Meta's next try
      return appended
    end
    if not fresh[bucket] then
      fresh[bucket] = true
      if redis.call('TTL', bucket) < refresh then redis.call('EXPIRE', bucket, ttl) end
    end
    answer[i - 1] = id
  else
    answer[i - 1] = '=' .. redis.call('HGET', bucket, identity)
  end
end
return answer
