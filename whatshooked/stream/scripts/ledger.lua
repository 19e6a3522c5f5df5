#!lua flags=allow-oom
-- LEDGER: is every event accounted for? What was ever added is settled, pending, or not read yet; the rest is lost.
-- KEYS: events, ledger. ARGV: group, 1 to close the books: what is missing now is not told again.
-- Answer: how many events nobody accounts for, and how many are unread; nothing in their place when Redis cannot tell how
--   many are unread: an unread one was deleted, or there is no group.
local function of(reply, name)
  for i = 1, #reply, 2 do
    if reply[i] == name then return reply[i + 1] end
  end
end

local added, pending, unread, all_read = 0, 0, 0, true
local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not stream.err then
  added, unread, all_read = of(stream, 'entries-added'), false, false
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    if of(group, 'name') == ARGV[1] then
      pending, unread = of(group, 'pending'), of(group, 'lag')
      local last = of(group, 'last-delivered-id')
      all_read = #redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1) == 0
      -- Redis 7.0 forgets with a restart how many were read, and would count some as unread for good.
      if all_read and of(group, 'entries-read') ~= added then
        redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], last, 'ENTRIESREAD', added)
      end
      if all_read then unread = 0 end
    end
  end
end
if not unread then return { false, false } end
local settled, base = unpack(redis.call('HMGET', KEYS[2], 'settled', 'base'))
local found = added - pending - unread - (tonumber(settled or 0))
local missing = base and found - tonumber(base) or 0
-- A stream from before there was a ledger: its account begins with this look. Fewer than none are missing only where unread
-- ones are counted wrong, which is no place to begin.
if not base or (ARGV[2] == '1' and (missing > 0 or all_read)) then redis.call('HSET', KEYS[2], 'base', found) end
return { missing, unread }
