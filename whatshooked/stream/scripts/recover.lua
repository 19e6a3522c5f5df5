#!lua flags=allow-oom
-- RECOVER: take over what a dead process had read and not yet routed; drop its consumer when nothing of it is left.
-- KEYS: events, poison, alive of the dead process, activity.
-- ARGV: group, dead consumer, this consumer, parked consumer, claims that make poison, most entries per call, packed note of
--   poison ("" when nobody wants to know).
-- Answer: [[id, blob], ...], ids that became poison, 1 when the consumer is gone (or lives after all).
-- include shared/note.lua
local events, poison, group, dead = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[3]) == 1 then return { {}, {}, 1 } end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local claim, poisoned = {}, {}
local suspect = false
for _, row in ipairs(redis.call('XPENDING', events, group, '-', '+', ARGV[6], dead)) do
  if row[4] > tonumber(ARGV[5]) then
    poisoned[#poisoned + 1] = row[1]
  elseif row[4] < 3 then
    claim[#claim + 1] = row[1]
  elseif not suspect then
    -- Two processes died holding it: it goes alone, or its neighbours would be taken for poison with it.
    suspect = true
    claim[#claim + 1] = row[1]
  end
end
local told = {}
for _, id in ipairs(poisoned) do
  if ARGV[7] ~= '' then told[#told + 1] = record(id, ARGV[7]) end
  redis.call('XCLAIM', events, group, ARGV[4], 0, id, 'JUSTID')
  redis.call('ZADD', poison, now, id)
end
local entries = {}
if #claim > 0 then
  -- Without JUSTID: it counts the claim, and drops from the pending list what is no longer in the stream.
  for i, entry in ipairs(redis.call('XCLAIM', events, group, ARGV[3], 0, unpack(claim))) do
    entries[i] = { entry[1], entry[2][2] }
  end
end
local gone = 0
if #redis.call('XPENDING', events, group, '-', '+', 1, dead) == 0 then
  redis.call('XGROUP', 'DELCONSUMER', events, group, dead)
  gone = 1
end
note(KEYS[4], #told, told)
return { entries, poisoned, gone }
