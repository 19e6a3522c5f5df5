#!lua flags=allow-oom
-- BEAT: this process lives, and its config has these hooks. A script, because a full Redis refuses a plain SET, and
-- workers that seem dead would take each other's entries over just when they have to drain.
-- KEYS: alive of the process, hooks, workers. ARGV: seconds it counts as living, its name, then hook ids. Answer: 1.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 60000)
for i = 3, #ARGV do redis.call('ZADD', KEYS[2], now, ARGV[i]) end
return 1
