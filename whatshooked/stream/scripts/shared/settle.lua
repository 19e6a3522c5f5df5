-- Included by scripts that end an entry's time in the pending list: the ledger, their last key, counts it in the same step.
local ledger = table.remove(KEYS)
local function settle(count)
  if count ~= 0 then redis.call('HINCRBY', ledger, 'settled', count) end
end
