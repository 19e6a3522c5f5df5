#!lua flags=allow-oom
-- MESSAGE: an outgoing message names a person who is forgotten. It goes whatever becomes of it; who is sending it just now
-- finds nothing to settle.
-- KEYS: due, line of the recipient, the message, messages in each state. ARGV: recipient, id.
-- Answer: the state it had, "" when there is no such message.
local due, line, message = KEYS[1], KEYS[2], KEYS[3]
local recipient, id = ARGV[1], ARGV[2]
local state = redis.call('HGET', message, 'state') or ''
redis.call('DEL', message)
for k = 4, #KEYS do redis.call('ZREM', KEYS[k], id) end
redis.call('LREM', line, 0, id)
if redis.call('EXISTS', line) == 0 then
  redis.call('ZREM', due, recipient)
elseif state == 'sending' then
  local time = redis.call('TIME') -- what stood behind it does not wait for its lease to end
  redis.call('ZADD', due, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), recipient)
end
return state
