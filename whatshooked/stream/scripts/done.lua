#!lua flags=allow-oom
-- DONE: hooks took events. Close them, remember who took what, and acknowledge what nobody owes any more.
-- KEYS: events, poison, replies, activity, then due and dead of each hook, then open and taken of each entry, then, where an
--   answer asked to send, the lists of refused replies: unusable, circular; behind all the ledger.
-- ARGV: group, hook ids (msgpack), entries (msgpack [[id, [hook index or [hook index, n], ...]], ...]), how many replies and
--   refusals follow, these, then, where somebody wants to know, a record per entry and hook that took it.
--   n > 0: the reply at this place, what the hook's answer asked to send. It is kept here, or not at all: once per hook
--   that takes the event. n < 0: the refusal at this place (kind|reason) of what it asked.
-- Answer: [[1 per hook that was still open, 0 (late), or -1 (its key holds no hash)], ...], the count of acknowledged entries,
--   and of replies that were not kept since too many wait.
-- include shared/note.lua
-- include shared/settle.lua
local events, group = KEYS[1], ARGV[1]
local hooks, entries = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local base = 4 + 2 * #hooks
local notes, told = 4 + tonumber(ARGV[4]), {}
local closed, acks, gone, crowded = {}, {}, {}, 0
local most_replies = 100000 -- a burst waits here, a hook gone wild must not fill Redis
local most_refused = { unusable = 500, circular = 100 }

-- A hook's id may be any text; what names a reply travels through Meta and back, within its 512 characters.
local function plain(hook)
  local safe = string.gsub(hook, '[^%w_-]', function(sign) return string.format('~%02X', string.byte(sign)) end)
  return #safe <= 48 and safe or string.sub(safe, 1, 39) .. '-' .. string.sub(redis.sha1hex(hook), 1, 8)
end

local function refuse(id, hook, now, kind, reason)
  local list = kind == 'circular' and KEYS[#KEYS] or KEYS[#KEYS - 1]
  redis.pcall('LPUSH', list, cmsgpack.pack({ now, id, hook, kind, reason })) -- no fault of this list may stop a delivery
  redis.pcall('LTRIM', list, 0, most_refused[kind] - 1)
end

-- Who took the event before has had its reply kept before.
local function take(taken, hook, id, n)
  local first = redis.call('SADD', taken, hook) == 1
  if not first or n == 0 then return first end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  if n < 0 then
    refuse(id, hook, now, string.match(ARGV[4 - n], '^(%a+)|(.*)$'))
  elseif redis.call('HLEN', KEYS[3]) >= most_replies then
    crowded = crowded + 1
    refuse(id, hook, now, 'unusable', 'too many replies wait already: nobody moves them on')
  else
    redis.call('HSETNX', KEYS[3], id .. '.' .. plain(hook) .. '.' .. string.format('%.0f', now), ARGV[4 + n])
  end
  return true
end

for i, entry in ipairs(entries) do
  local id, open, taken = entry[1], KEYS[base + 2 * i - 1], KEYS[base + 2 * i]
  closed[i] = {}
  local any, poisoned = false, false
  for j, h in ipairs(entry[2]) do
    local n, was_taken = 0, false
    notes = notes + 1
    if type(h) == 'table' then h, n = h[1], h[2] end
    local packed = redis.pcall('HGET', open, hooks[h])
    closed[i][j] = packed and 1 or 0
    if type(packed) == 'table' then
      closed[i][j] = -1 -- an error here must not leave the neighbours half settled: effects of a script stay
    elseif packed then
      any = true
      redis.call('HDEL', open, hooks[h])
      local state = string.sub(packed, 1, 1)
      if state == 'd' then redis.call('ZREM', KEYS[4 + 2 * h], id) end
      if state == 'p' then poisoned = true end
      local ids = gone[h] or {}
      gone[h] = ids
      ids[#ids + 1] = id
      take(taken, hooks[h], id, n)
      was_taken = true
    elseif #redis.call('XRANGE', events, id, id) == 1 then
      was_taken = take(taken, hooks[h], id, n) -- late, yet it took the event: a replay must know
    end
    if was_taken then told[#told + 1] = ARGV[notes] end
  end
  -- Late answers close nothing, so they acknowledge nothing: the entry may wait for a replay by now.
  if any and redis.call('EXISTS', open) == 0 then
    acks[#acks + 1] = id
    if poisoned then redis.call('ZREM', KEYS[2], id) end
  end
end
for h, ids in pairs(gone) do
  redis.call('ZREM', KEYS[4 + 2 * h - 1], unpack(ids))
end
local acked = 0
if #acks > 0 then acked = redis.call('XACK', events, group, unpack(acks)) end
settle(acked)
note(KEYS[4], #told, told)
return { closed, acked, crowded }
