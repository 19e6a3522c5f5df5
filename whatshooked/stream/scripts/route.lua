#!lua flags=allow-oom
-- ROUTE: hand a batch of entries over from this consumer to the parked ones, and open the hooks that match.
-- KEYS: events, unmatched, poison, activity, then due of each hook, then open and taken of each entry, last the ledger.
-- ARGV: group, consumer, parked consumer, hooks (msgpack [[id, lease ms], ...]), entries (msgpack [[id, park, [[hook index, start], ...]], ...]), hold (ms), media hook,
--   then, where somebody wants to know, per entry how many records and the records of it being routed as asked.
--   park: 1 = keep it as unmatched when no hook wants it, 0 = acknowledge it then, 2 = poison: it cannot be read.
--   start: 1 = leased to the caller, 0 = due at once, 2 = held for the event's file: due when the hold ends, or MEDIA_DONE says so.
-- Answer: now (ms), then per entry 1 when this call routed it as asked (its leases hold), else 0.
-- include shared/note.lua
-- include shared/settle.lua
local events, group, consumer, parked = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local hooks, entries, hold, media = cmsgpack.unpack(ARGV[4]), cmsgpack.unpack(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Only what this consumer still owns: a RECOVER may have given an entry to another since it was read.
local mine, claim = {}, {}
for _, row in ipairs(redis.call('XPENDING', events, group, entries[1][1], entries[#entries][1], 4096, consumer)) do
  mine[row[1]] = true
end
local answer, acks, waits = { now }, {}, {}
local told, records = {}, 0
for i, entry in ipairs(entries) do
  local id, park, wanted = entry[1], entry[2], entry[3]
  local open, taken = KEYS[3 + #hooks + 2 * i], KEYS[4 + #hooks + 2 * i]
  local again = false
  answer[i + 1] = 0
  if mine[id] then
    if park == 2 then
      redis.call('ZADD', KEYS[3], now, id)
    elseif redis.call('EXISTS', open, taken) > 0 then
      if redis.call('EXISTS', open) == 1 then
        park = 3 -- routed already, by a process that died before it could say so
      elseif #wanted > 0 then
        -- Only after the group was lost and made again at 0 does an entry come twice: who took it is not told again.
        local left = {}
        for _, want in ipairs(wanted) do
          if redis.call('SISMEMBER', taken, hooks[want[1]][1]) == 0 then left[#left + 1] = { want[1], want[2] == 2 and 2 or 0 } end
        end
        local all_took = #left == 0 or (#left == 1 and hooks[left[1][1]][1] == media) -- nobody is left to have the file
        if all_took then left, park = {}, 0 end
        wanted, again = left, true
      end
    end
    if park < 2 and #wanted > 0 then
      local states = {}
      for _, want in ipairs(wanted) do
        local hook, start = hooks[want[1]], want[2]
        local due = waits[want[1]] or {}
        waits[want[1]] = due
        states[#states + 1] = hook[1]
        if start == 1 then
          states[#states + 1] = 'l|1|1|0|0|'
          due[#due + 1] = string.format('%.0f', now + hook[2])
        else
          states[#states + 1] = 'w|0|0|0|0|'
          due[#due + 1] = string.format('%.0f', start == 2 and now + hold or now)
        end
        due[#due + 1] = id
      end
      redis.call('HSET', open, unpack(states))
    elseif park == 1 then
      redis.call('ZADD', KEYS[2], now, id)
    end
    if #wanted == 0 and park == 0 then
      acks[#acks + 1] = id
    else
      claim[#claim + 1] = id
    end
    if park ~= 3 and not again then
      answer[i + 1] = 1
      if ARGV[7 + 2 * i] then
        records = records + tonumber(ARGV[6 + 2 * i])
        told[#told + 1] = ARGV[7 + 2 * i]
      end
    end
  end
end
for index, due in pairs(waits) do
  redis.call('ZADD', KEYS[4 + index], unpack(due))
end
if #acks > 0 then settle(redis.call('XACK', events, group, unpack(acks))) end
if #claim > 0 then
  claim[#claim + 1] = 'JUSTID'
  redis.call('XCLAIM', events, group, parked, 0, unpack(claim))
end
note(KEYS[4], records, told)
return answer
