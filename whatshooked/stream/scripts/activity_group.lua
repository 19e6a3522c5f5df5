#!lua flags=allow-oom
-- ACTIVITY_GROUP: let a target's group begin where the stream does, unless it is there. In a full Redis too.
-- KEYS: activity. ARGV: group, 1 to make the stream as well.
if ARGV[2] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
return 1
