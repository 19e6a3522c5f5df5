#!lua flags=allow-oom
-- OUTBOX_FORGET: finished messages are remembered no longer. Whether each still is in this state is looked at again here:
-- an operator may have put it into its line again.
-- KEYS: messages in the state, then each message. ARGV: the state, then ids.
-- Answer: the count of forgotten messages.
local count = 0
for i = 2, #ARGV do
  local state = redis.call('HGET', KEYS[i], 'state')
  if not state or state == ARGV[1] then
    redis.call('DEL', KEYS[i])
    count = count + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return count
