#!lua flags=allow-oom
-- DISCARD: take entries out of the cache: one by hand (DELETE), all that is parked (CLEAR), or what a limit pushes out.
-- KEYS: events, unmatched, poison, activity, then due and dead of each known hook, then open, taken and media of each entry,
--   last the ledger.
-- ARGV: group, known hooks (msgpack [id, ...]), ids (msgpack), parked only (1/0), delete the entry too (1/0),
--   then, where somebody wants to know, a record per id.
-- Answer: per id 1 when discarded, else 0; then the ids with an open hook that is not among the known ones.
-- include shared/note.lua
-- include shared/settle.lua
-- include shared/later.lua
local events, group = KEYS[1], ARGV[1]
local hooks, ids = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local parked_only, delete = ARGV[4] == '1', ARGV[5] == '1'
local base, told = 4 + 2 * #hooks, {}
local known = {}
for _, hook in ipairs(hooks) do known[hook] = true end

local delivered
local function is_read(id)
  for _, info in ipairs(delivered and {} or redis.call('XINFO', 'GROUPS', events)) do
    for k = 1, #info, 2 do
      if info[2] == group and info[k] == 'last-delivered-id' then delivered = info[k + 1] end
    end
  end
  return delivered and not later(id, delivered)
end

local answer, strange = {}, {}
for i, id in ipairs(ids) do
  local open, taken, media = KEYS[base + 3 * i - 2], KEYS[base + 3 * i - 1], KEYS[base + 3 * i]
  local states = redis.call('HGETALL', open)
  local waiting, stranger = false, false
  for j = 1, #states, 2 do
    local s = string.sub(states[j + 1], 1, 1)
    if s == 'l' or s == 'w' then waiting = true end
    if not known[states[j]] then stranger = true end
  end
  local parked = #states > 0 or redis.call('ZSCORE', KEYS[2], id) or redis.call('ZSCORE', KEYS[3], id)
  answer[i] = 0
  if stranger then
    strange[#strange + 1] = id
  elseif not (parked_only and (waiting or not parked)) then
    for h = 1, #hooks do
      redis.call('ZREM', KEYS[4 + 2 * h - 1], id)
      redis.call('ZREM', KEYS[4 + 2 * h], id)
    end
    redis.call('DEL', open)
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    local acked = redis.call('XACK', events, group, id)
    settle(acked)
    if delete then
      redis.call('DEL', taken, media)
      local deleted = redis.call('XDEL', events, id)
      if acked == 0 and deleted == 1 and not is_read(id) then settle(1) end -- no worker will ever see it
      acked = acked + deleted
    end
    answer[i] = acked > 0 and 1 or 0
    if acked > 0 and ARGV[5 + i] then told[#told + 1] = ARGV[5 + i] end
  end
end
note(KEYS[4], #told, told)
return { answer, strange }
