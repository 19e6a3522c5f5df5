#!lua flags=allow-oom
-- NEWER: this consumer read entries of a newer version; a consumer owns them from now on that only its workers recover.
-- KEYS: events. ARGV: group, this consumer, entries (msgpack [[id, consumer], ...]).
-- Answer: how many were handed on; what is not this consumer's any more is left where it is.
local events, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local count = 0
for _, entry in ipairs(cmsgpack.unpack(ARGV[3])) do
  local pending = redis.call('XPENDING', events, group, entry[1], entry[1], 1, consumer)[1]
  if pending then
    -- The claim that brought it here does not count: nobody died of it, and it was not tried.
    redis.call('XCLAIM', events, group, entry[2], 0, entry[1], 'RETRYCOUNT', math.max(pending[4] - 1, 0), 'JUSTID')
    count = count + 1
  end
end
return count
