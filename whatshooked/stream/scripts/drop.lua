#!lua flags=allow-oom
-- DROP: a hook was removed from the config; give up what it still owed, and acknowledge what was left to nobody else.
-- KEYS: events, poison, due and dead of the hook, hooks, activity, then open of each entry, last the ledger.
-- ARGV: group, hook, ids (msgpack), how long no process may have shown the hook (ms), packed note of an event that is given
--   up ("" when nobody wants to know).
-- Answer: the count of closed and of acknowledged entries.
-- include shared/note.lua
-- include shared/settle.lua
local events, group, hook = KEYS[1], ARGV[1], ARGV[2]
local closed, acked, told = 0, 0, {}
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local shown = redis.call('ZSCORE', KEYS[5], hook)
if shown and tonumber(shown) > now - tonumber(ARGV[4]) then return { 0, 0 } end -- it is back
for i, id in ipairs(cmsgpack.unpack(ARGV[3])) do
  local open = KEYS[6 + i]
  local score = redis.call('ZSCORE', KEYS[3], id)
  local packed = redis.call('HGET', open, hook)
  local in_flight = packed and string.sub(packed, 1, 1) == 'l' and score and tonumber(score) > now
  if not in_flight then
    if redis.call('HDEL', open, hook) == 1 then
      closed = closed + 1
      if ARGV[5] ~= '' then told[#told + 1] = record(id, ARGV[5]) end
      local poisoned = false
      for _, state in ipairs(redis.call('HVALS', open)) do
        if string.sub(state, 1, 1) == 'p' then poisoned = true end
      end
      if not poisoned then redis.call('ZREM', KEYS[2], id) end
      if redis.call('EXISTS', open) == 0 then acked = acked + redis.call('XACK', events, group, id) end
    end
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZREM', KEYS[4], id)
  end
end
settle(acked)
note(KEYS[6], #told, told)
return { closed, acked }
