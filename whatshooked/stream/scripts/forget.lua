#!lua flags=allow-oom
-- FORGET: history is over for these entries. Whether each is finished is looked at again here, one by one.
-- KEYS: events, then taken and media of each entry.
-- ARGV: group, ids (msgpack), how many of them (the first) are too old, how many of the others may go.
-- Answer: the count of deleted entries, and 1 when workers have not read the last of them yet.
local events, group = KEYS[1], ARGV[1]
local delivered = '0-0'
for _, info in ipairs(redis.call('XINFO', 'GROUPS', events)) do
  if info[2] == group then
    for k = 1, #info, 2 do
      if info[k] == 'last-delivered-id' then delivered = info[k + 1] end
    end
  end
end
local dm, ds = string.match(delivered, '^(%d+)-(%d+)$')
dm, ds = tonumber(dm), tonumber(ds)
local aged, room = tonumber(ARGV[3]), tonumber(ARGV[4])
local finished, keys, unread = {}, {}, 0
for i, id in ipairs(cmsgpack.unpack(ARGV[2])) do
  local m, s = string.match(id, '^(%d+)-(%d+)$')
  m, s = tonumber(m), tonumber(s)
  local read = m < dm or (m == dm and s <= ds)
  unread = read and 0 or 1
  if read and (i <= aged or room > 0) and #redis.call('XPENDING', events, group, id, id, 1) == 0 then
    if i > aged then room = room - 1 end
    finished[#finished + 1] = id
    keys[#keys + 1] = KEYS[2 * i]
    keys[#keys + 1] = KEYS[2 * i + 1]
  end
end
if #finished == 0 then return { 0, unread } end
redis.call('DEL', unpack(keys))
return { redis.call('XDEL', events, unpack(finished)), unread }
