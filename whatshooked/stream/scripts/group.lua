#!lua flags=allow-oom
-- GROUP: make the consumer group at the stream's beginning unless it is there. A group that was lost took the pending
-- list with it: every entry will be read and routed again, so the lists of what was parked begin anew as well.
-- KEYS: events, unmatched, poison, ledger. ARGV: group. Answer: 1 when it was made.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err then
  if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
  return made
end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('DEL', KEYS[4]) -- the account begins anew: what is in the stream counts as not read
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'entries-added' then
    redis.call('HSET', KEYS[4], 'base', info[i + 1] - redis.call('XLEN', KEYS[1]))
  end
end
return 1
