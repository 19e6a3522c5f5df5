#!lua flags=no-writes
-- PEEK: entries of the stream, as many of those asked for as fit into an answer of a bounded size; of a large one its head.
-- KEYS: events.
-- ARGV: bytes of an answer, bytes that are touched for it, bytes of a large entry; then ids (msgpack), or "" and: XRANGE or
--   XREVRANGE, from, to, how many.
-- Answer: [[id, blob], [id] when there is no such entry (any more), or [id, bytes, type, account] of a large one, ...]: at
--   least one of those asked for, from the first on.
local room, touched, large = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local answer = {}

-- The second and third part of an entry's array, whose opening is a byte as long as it has less than 16.
local function head(blob)
  local at, kind, account = 1
  at = cmsgpack.unpack_one(blob, at)
  at, kind = cmsgpack.unpack_one(blob, at)
  at, account = cmsgpack.unpack_one(blob, at)
  return kind, account
end

local function take(id, entry)
  local blob = entry and entry[2][2]
  local size = blob and #blob or 0
  if #answer > 0 and ((size <= large and size > room) or size > touched) then return false end
  touched = touched - size
  if not blob then
    answer[#answer + 1] = { id }
  elseif size <= large then
    room = room - size
    answer[#answer + 1] = { id, blob }
  else
    local read, kind, account = pcall(head, blob)
    local known = read and type(kind) == 'string' and type(account) == 'string'
    answer[#answer + 1] = { id, size, known and kind or '', known and account or '' }
  end
  return true
end

if ARGV[4] ~= '' then
  for _, id in ipairs(cmsgpack.unpack(ARGV[4])) do
    if not take(id, redis.call('XRANGE', KEYS[1], id, id)[1]) then break end
  end
else
  local from = ARGV[6]
  for _ = 1, tonumber(ARGV[8]) do
    local entry = redis.call(ARGV[5], KEYS[1], from, ARGV[7], 'COUNT', 1)[1] -- one: the next may be too large to touch
    if not entry or not take(entry[1], entry) then break end
    from = '(' .. entry[1]
  end
end
return answer
