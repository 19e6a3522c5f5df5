#!lua flags=allow-oom
-- BUDGET: may one more call be made that may fail only so often within a window? Its mark is set here, before the call, and
-- taken off only when it went well: what failed, had no answer or died with its process counts until the window has passed.
-- KEYS: the marks. ARGV: a mark for this call, most marks, window (ms), how long a call lasts at most (ms).
-- Answer: 0 = go; else the milliseconds to wait.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local most, window = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
if redis.call('ZCARD', KEYS[1]) < most then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
-- Some of the marks may be of calls that are on their way, and go well in a moment.
if redis.call('ZCOUNT', KEYS[1], '-inf', now - tonumber(ARGV[4])) < most then return 50 end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(tonumber(oldest[2]) + window - now, 50)
