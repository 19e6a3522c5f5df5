#!lua flags=allow-oom
-- SWAP: put a text that names nobody in the place of one that names a person, unless it is another one by now.
-- KEYS: a hash or a string. ARGV: the text that was seen, the new one, then the hash's field.
-- Answer: 1 when it was put there, else 0.
if ARGV[3] then
  if redis.call('HGET', KEYS[1], ARGV[3]) ~= ARGV[1] then return 0 end
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[2])
else
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
end
return 1
