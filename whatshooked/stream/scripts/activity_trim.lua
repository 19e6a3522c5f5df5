#!lua flags=allow-oom
-- ACTIVITY_TRIM: remove what every group has written and nobody may want to see any more; and beyond the bound the oldest,
-- written or not, which is counted for the groups that lose it.
-- KEYS: activity, dropped. ARGV: bytes it may take, ms that what is written stays, steps to take at most.
-- Answer: how many entries were removed, and 1 when there is more to do.
local activity, dropped, most, steps = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[3])
if redis.call('EXISTS', activity) == 0 then return { 0, 0 } end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- include shared/later.lua

-- What lies before `floor` is written by all.
local groups = {}
local floor = string.format('%.0f-0', now - tonumber(ARGV[2]))
for _, info in ipairs(redis.call('XINFO', 'GROUPS', activity)) do
  local group = {}
  for k = 1, #info, 2 do group[info[k]] = info[k + 1] end
  groups[#groups + 1] = group
  local reached = group['last-delivered-id']
  if group['pending'] > 0 then reached = redis.call('XPENDING', activity, group['name'])[2] end
  if later(floor, reached) then floor = reached end
end
local removed = redis.call('XTRIM', activity, 'MINID', floor)

while steps > 0 and (redis.call('MEMORY', 'USAGE', activity) or 0) > most do
  steps = steps - 1
  local oldest = redis.call('XRANGE', activity, '-', '+', 'COUNT', 100)
  if #oldest == 0 then break end
  for _, entry in ipairs(oldest) do
    for _, group in ipairs(groups) do
      local unread = later(entry[1], group['last-delivered-id'])
      if unread or redis.call('XACK', activity, group['name'], entry[1]) == 1 then
        redis.call('HINCRBY', dropped, group['name'], entry[2][2])
      end
    end
    redis.call('XDEL', activity, entry[1])
  end
  removed = removed + #oldest
end
return { removed, steps > 0 and 0 or 1 }
