#!lua flags=allow-oom
-- FORGET: history is over for these entries. Whether each is finished is looked at again here, one by one.
-- KEYS: events, then taken of each entry. ARGV: group, ids (msgpack). Answer: the count of deleted entries.
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
local finished, keys = {}, {}
for i, id in ipairs(cmsgpack.unpack(ARGV[2])) do
  local m, s = string.match(id, '^(%d+)-(%d+)$')
  m, s = tonumber(m), tonumber(s)
  local read = m < dm or (m == dm and s <= ds)
  if read and #redis.call('XPENDING', events, group, id, id, 1) == 0 then
    finished[#finished + 1] = id
    keys[#keys + 1] = KEYS[1 + i]
  end
end
if #finished == 0 then return 0 end
redis.call('DEL', unpack(keys))
return redis.call('XDEL', events, unpack(finished))
