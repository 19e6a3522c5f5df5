#!lua flags=allow-oom
-- MEDIA_DONE: a file was fetched, or given up. Note what was found and let the hooks that were held have the event.
-- KEYS: events, unmatched, due of the media hook, activity, fileless, then due of each hook, then open, taken and media of
--   each entry, last the ledger.
-- ARGV: group, media hook, hooks (msgpack [id, ...]), entries (msgpack [[id, token, park, failed, [field, value, ...]], ...]),
--   how long it is remembered that a file could not be had (ms), then, where somebody wants to know, a record per entry.
--   park: 1 = keep it as unmatched when no hook is open, 0 = acknowledge it then. failed: 1 = there is no file, 0 = there is.
-- Answer: per entry 1 when noted, 0 when the lease was lost.
-- include shared/note.lua
-- include shared/settle.lua
local events, group, media = KEYS[1], ARGV[1], ARGV[2]
local hooks, entries = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local base = 5 + #hooks
local answer, told = {}, {}
for i, entry in ipairs(entries) do
  local id, token, park, failed, fields = unpack(entry)
  local open, taken, found = KEYS[base + 3 * i - 2], KEYS[base + 3 * i - 1], KEYS[base + 3 * i]
  local score = redis.call('ZSCORE', KEYS[3], id)
  answer[i] = 0
  if score and tonumber(score) == token and redis.call('HDEL', open, media) == 1 then
    answer[i] = 1
    told[#told + 1] = ARGV[5 + i]
    redis.call('ZREM', KEYS[3], id)
    redis.call('DEL', found)
    redis.call('HSET', found, unpack(fields))
    if failed == 1 then
      redis.call('ZADD', KEYS[5], now, id)
      redis.call('PEXPIRE', KEYS[5], ARGV[5])
      local past = redis.call('ZRANGE', KEYS[5], '-inf', now - tonumber(ARGV[5]), 'BYSCORE', 'LIMIT', 0, 100)
      if #past > 0 then redis.call('ZREM', KEYS[5], unpack(past)) end
    else
      redis.call('ZREM', KEYS[5], id)
    end
    for h, hook in ipairs(hooks) do
      -- Only what was never tried: a hook that was, or is in flight, has its own time.
      local packed = redis.call('HGET', open, hook)
      if packed and string.match(packed, '^w|0|') then redis.call('ZADD', KEYS[5 + h], now, id) end
    end
    if redis.call('EXISTS', open) == 0 then
      if park == 0 or redis.call('EXISTS', taken) == 1 then
        settle(redis.call('XACK', events, group, id))
      else
        redis.call('ZADD', KEYS[2], now, id)
      end
    end
  end
end
note(KEYS[4], #told, told)
return answer
