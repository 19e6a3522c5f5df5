#!lua flags=allow-oom
-- FSCK: hold what the keys say of each entry against each other, and mend it when asked; one step per entry, so that
-- running workers are never caught half-way.
-- KEYS: events, unmatched, poison, then due and dead of each known hook, then open, taken and media of each entry.
-- ARGV: group, parked consumer, known hooks (msgpack [id, ...]), ids (msgpack), mend (1/0), consumer to hand lost entries to.
-- Answer: [[id, what disagrees, hook or ""], ...].
local events, group = KEYS[1], ARGV[1]
local hooks, ids, mend = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4]), ARGV[5] == '1'
local base = 3 + 2 * #hooks
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local found = {}

local function say(id, what, hook, ...)
  found[#found + 1] = { id, what, hook }
  if mend then
    for _, command in ipairs({ ... }) do redis.call(unpack(command)) end
  end
end

for i, id in ipairs(ids) do
  local open, taken, media = KEYS[base + 3 * i - 2], KEYS[base + 3 * i - 1], KEYS[base + 3 * i]
  local exists = #redis.call('XRANGE', events, id, id) == 1
  local pending = redis.call('XPENDING', events, group, id, id, 1)[1]
  local parked = pending and pending[2] == ARGV[2]
  if not exists then
    if pending then say(id, 'pending_without_entry', '', { 'XACK', events, group, id }) end
    if redis.call('EXISTS', open) == 1 then say(id, 'open_without_entry', '', { 'DEL', open }) end
    if redis.call('EXISTS', taken) == 1 then say(id, 'taken_without_entry', '', { 'DEL', taken }) end
    if redis.call('EXISTS', media) == 1 then say(id, 'media_without_entry', '', { 'DEL', media }) end
    pending, parked = nil, false
  elseif not pending and redis.call('EXISTS', open) == 1 then
    say(id, 'open_not_pending', '', { 'XCLAIM', events, group, ARGV[2], 0, id, 'FORCE', 'JUSTID' })
    pending, parked = true, true
  end
  local poisoned = false
  for h, hook in ipairs(hooks) do
    local due, dead = KEYS[3 + 2 * h - 1], KEYS[3 + 2 * h]
    local packed = redis.call('HGET', open, hook)
    local state = packed and string.sub(packed, 1, 1)
    local in_due, in_dead = redis.call('ZSCORE', due, id), redis.call('ZSCORE', dead, id)
    if state == 'p' then poisoned = true end
    if (state == 'w' or state == 'l') and not in_due then say(id, 'open_not_due', hook, { 'ZADD', due, now, id }) end
    if state == 'd' and not in_dead then say(id, 'dead_not_listed', hook, { 'ZADD', dead, now, id }) end
    if in_due and state ~= 'w' and state ~= 'l' then say(id, 'due_not_open', hook, { 'ZREM', due, id }) end
    if in_dead and state ~= 'd' then say(id, 'listed_not_dead', hook, { 'ZREM', dead, id }) end
  end
  local unmatched, poison = redis.call('ZSCORE', KEYS[2], id), redis.call('ZSCORE', KEYS[3], id)
  local is_open = redis.call('EXISTS', open) == 1
  if unmatched and is_open then say(id, 'unmatched_yet_open', '', { 'ZREM', KEYS[2], id }) end
  if unmatched and not pending then say(id, 'unmatched_not_pending', '', { 'ZREM', KEYS[2], id }) end
  if poison and not pending then say(id, 'poison_not_pending', '', { 'ZREM', KEYS[3], id }) end
  if poison and is_open and not poisoned then say(id, 'poison_yet_open', '', { 'ZREM', KEYS[3], id }) end
  if poisoned and not poison then say(id, 'poison_not_listed', '', { 'ZADD', KEYS[3], now, id }) end
  if parked and exists and not is_open and not unmatched and not poison then
    -- Nobody's any more: it goes to a consumer that never lives, so that RECOVER routes it anew.
    say(id, 'parked_without_reason', '', { 'XCLAIM', events, group, ARGV[6], 0, id, 'JUSTID' })
  end
end
return found
