#!lua flags=allow-oom
-- MOVE: an entry of somebody else names a person who is forgotten. What is still owed of it goes on as a copy that names
-- nobody, with all that is known of it; what is finished is deleted.
-- KEYS: events, unmatched, poison, fileless, then due and dead of each known hook, then open, taken and media of the entry and
--   of its copy, last the ledger.
-- ARGV: group, parked consumer, known hooks (msgpack [id, ...]), id, id of the copy, blob of the copy.
-- Answer: moved, deleted, gone; busy = its worker or a hook has it just now, or it is parked and workers would route its
--   copy, with what they have yet to read; strange = an open hook is not among the known ones; early = the copy's id is not
--   above all others.
local events, group, parked, id, copy = KEYS[1], ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local hooks = cmsgpack.unpack(ARGV[3])
local base = 4 + 2 * #hooks
local open, taken, media = KEYS[base + 1], KEYS[base + 2], KEYS[base + 3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if #redis.call('XRANGE', events, id, id) == 0 then return 'gone' end

-- include shared/later.lua
-- include shared/settle.lua

local pending, delivered
for _, info in ipairs(redis.call('XINFO', 'GROUPS', events)) do
  for k = 1, #info, 2 do
    if info[2] == group and info[k] == 'last-delivered-id' then delivered = info[k + 1] end
  end
end
if delivered then pending = redis.call('XPENDING', events, group, id, id, 1)[1] end
if pending and pending[2] ~= parked then return 'busy' end -- read, and about to be routed
local known = {}
for h, hook in ipairs(hooks) do known[hook] = h end
local states = redis.call('HGETALL', open)
for i = 1, #states, 2 do
  local h = known[states[i]]
  if not h then return 'strange' end
  local lease = string.sub(states[i + 1], 1, 1) == 'l' and redis.call('ZSCORE', KEYS[3 + 2 * h], id)
  if lease and tonumber(lease) > now then return 'busy' end
end
if not pending and #states == 0 and delivered and not later(id, delivered) then
  redis.call('DEL', taken, media)
  redis.call('XDEL', events, id)
  return 'deleted'
end

local parked_or_open = pending or #states > 0
local caught_up = delivered and #redis.call('XRANGE', events, '(' .. delivered, '+', 'COUNT', 1) == 0
if pending and #states == 0 and not caught_up then return 'busy' end
local added = redis.pcall('XADD', events, copy, 'e', ARGV[6])
if type(added) == 'table' and added.err then
  return string.find(added.err, 'equal or smaller', 1, true) and 'early' or added
end
if parked_or_open then
  redis.call('XCLAIM', events, group, parked, 0, copy, 'FORCE', 'JUSTID')
  -- It was read, as its original was. Else a worker reads it, and ROUTE finds it open and leaves it so.
  if caught_up then
    local count
    local info = redis.call('XINFO', 'STREAM', events)
    for i = 1, #info, 2 do
      if info[i] == 'entries-added' then count = info[i + 1] end
    end
    redis.call('XGROUP', 'SETID', events, group, copy, 'ENTRIESREAD', count)
  end
end
for k = 2, base do
  local score = redis.call('ZSCORE', KEYS[k], id)
  if score then
    redis.call('ZADD', KEYS[k], score, copy)
    redis.call('ZREM', KEYS[k], id)
  end
end
for k = 1, 3 do
  if redis.call('EXISTS', KEYS[base + k]) == 1 then redis.call('RENAME', KEYS[base + k], KEYS[base + 3 + k]) end
end
if delivered then redis.call('XACK', events, group, id) end
redis.call('XDEL', events, id)
settle(1)
return 'moved'
