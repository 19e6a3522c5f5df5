#!lua flags=allow-oom
-- TURN: take what one process at a time may have, when nobody has it or a process that is gone. In a full Redis too.
-- KEYS: the turn. ARGV: this process, seconds, a process that is gone ("" for none).
-- Answer: taken, held (by this process, and not prolonged) or other.
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return 'held' end
if holder and holder ~= ARGV[3] then return 'other' end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 'taken'
