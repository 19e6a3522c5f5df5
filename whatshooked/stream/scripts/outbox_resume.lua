#!lua flags=allow-oom
-- OUTBOX_RESUME: the account's credentials are accepted, so that it sends again. Where Graph refused what was sent right
-- after the last time, the check says too much: the account is tried again later, and later each time.
-- KEYS: hold, resumed.
-- ARGV: how the reason of such a hold begins, how long such a hold lasts, how long after a resumption a refusal is laid to
--   it, first pause, longest pause (ms).
-- Answer: 1 when the account sends again by this call, and ms until more is known (0 = nothing speaks against it).
local hold, resumed = KEYS[1], KEYS[2]
local soon, first, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at, pause = string.match(redis.call('GET', resumed) or '', '^(%d+)|(%d+)$')
at, pause = tonumber(at), tonumber(pause)
local reason = redis.call('GET', hold)
if not reason or string.sub(reason, 1, #ARGV[1]) ~= ARGV[1] then
  return { 0, at and pause > 0 and math.max(at + soon - now, 0) or 0 } -- on trial, or not held for that
end
local since = now - (tonumber(ARGV[2]) - redis.call('PTTL', hold))
local waits = 0
if at and since - at <= soon then waits = pause == 0 and first or math.min(2 * pause, longest) end
if now < since + waits then return { 0, since + waits - now } end
redis.call('DEL', hold)
redis.call('SET', resumed, string.format('%.0f|%.0f', now, waits), 'PX', 2 * longest + soon)
return { 1, waits > 0 and soon or 0 }
