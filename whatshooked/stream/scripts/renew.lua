#!lua flags=allow-oom
-- RENEW: a long attempt goes on; its lease with it, if it still is this process's.
-- KEYS: due of the hook. ARGV: lease (ms), leases (msgpack [[id, token], ...]). Answer: per lease its new token, 0 when it was lost.
local time = redis.call('TIME')
local token = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1])
local answer = {}
for i, lease in ipairs(cmsgpack.unpack(ARGV[2])) do
  local score = redis.call('ZSCORE', KEYS[1], lease[1])
  answer[i] = 0
  if score and tonumber(score) == lease[2] then
    redis.call('ZADD', KEYS[1], string.format('%.0f', token), lease[1])
    answer[i] = token
  end
end
return answer
