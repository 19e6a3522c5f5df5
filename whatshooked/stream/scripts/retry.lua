#!lua flags=allow-oom
-- RETRY: attempts that failed, were given up, or were never made. Only who still holds the lease may say so.
-- KEYS: events, activity, then due and dead of each hook, then open of each outcome's entry, last the ledger.
-- ARGV: group, hook ids (msgpack), outcomes (msgpack [[id, hook index, token, kind, delay ms, status, error], ...]),
--   then, where somebody wants to know, a record per outcome ("" of one that is not noted).
--   kind: w = try again after the delay, d = given up and kept, g = given up and not kept, f = not tried: freed at once.
-- Answer: per outcome 1 when recorded, else 0 (the lease was lost), then the count of acknowledged entries.
-- include shared/note.lua
-- include shared/settle.lua
local events, group = KEYS[1], ARGV[1]
local hooks, outcomes = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local base = 2 + 2 * #hooks
local answer, acked, told = {}, 0, {}
for i, outcome in ipairs(outcomes) do
  local id, h, token, kind, delay, status, text = unpack(outcome)
  local due, dead, open, hook = KEYS[1 + 2 * h], KEYS[2 + 2 * h], KEYS[base + i], hooks[h]
  local packed = redis.call('HGET', open, hook)
  local score = redis.call('ZSCORE', due, id)
  answer[i] = 0
  if packed and score and tonumber(score) == token then
    answer[i] = 1
    if (ARGV[3 + i] or '') ~= '' then told[#told + 1] = ARGV[3 + i] end
    local attempts, crashes, replay, old_status, old_text = string.match(packed, '^.|(%d+)|(%d+)|(%d)|(%d+)|(.*)$')
    if kind == 'f' then
      redis.call('HSET', open, hook, 'w|' .. math.max(attempts - 1, 0) .. '|' .. math.max(crashes - 1, 0) .. '|' .. replay .. '|' .. old_status .. '|' .. old_text)
      redis.call('ZADD', due, now, id)
    elseif kind == 'w' then
      redis.call('HSET', open, hook, 'w|' .. attempts .. '|0|' .. replay .. '|' .. status .. '|' .. text)
      redis.call('ZADD', due, now + delay, id)
    elseif kind == 'd' then
      redis.call('HSET', open, hook, 'd|' .. attempts .. '|0|' .. replay .. '|' .. status .. '|' .. text)
      redis.call('ZREM', due, id)
      redis.call('ZADD', dead, now, id)
    else
      redis.call('HDEL', open, hook)
      redis.call('ZREM', due, id)
      if redis.call('EXISTS', open) == 0 then acked = acked + redis.call('XACK', events, group, id) end
    end
  end
end
answer[#answer + 1] = acked
settle(acked)
note(KEYS[2], #told, told)
return answer
