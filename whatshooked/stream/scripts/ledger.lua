#!lua flags=allow-oom
-- LEDGER: is every event accounted for? What was ever added is settled, pending, or not read yet; the rest is lost.
-- KEYS: events, ledger. ARGV: group, 1 to close the books: what is missing now is not told again.
-- Answer: how many events nobody accounts for (below 0: more was settled than came in), nothing when Redis cannot tell how
--   many are unread: an unread one was deleted.
local function of(reply, name)
  for i = 1, #reply, 2 do
    if reply[i] == name then return reply[i + 1] end
  end
end

local added, pending, unread = 0, 0, 0
local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not stream.err then
  added, unread = of(stream, 'entries-added'), false
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    if of(group, 'name') == ARGV[1] then pending, unread = of(group, 'pending'), of(group, 'lag') end
  end
end
if not unread then return false end
local settled, base = unpack(redis.call('HMGET', KEYS[2], 'settled', 'base'))
local missing = added - pending - unread - (tonumber(settled or 0))
-- A stream from before there was a ledger: its account begins with this look.
if not base or ARGV[2] == '1' then redis.call('HSET', KEYS[2], 'base', missing) end
return base and missing - tonumber(base) or 0
