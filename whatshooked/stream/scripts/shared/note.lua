-- Included by scripts that note what they did in the activity stream, in the same step.

-- A text as msgpack has it.
local function packed_text(text)
  local n = #text
  if n < 32 then return string.char(160 + n) .. text end
  if n < 256 then return string.char(217, n) .. text end
  return string.char(218, math.floor(n / 256), n % 256) .. text
end

-- A record as stream/activity.py reads it: its subject, the caller's packed note, and the attempt where only a script knows it.
local function record(subject, packed, attempt)
  if attempt then return '\147' .. packed_text(subject) .. packed .. cmsgpack.pack(attempt) end
  return '\146' .. packed_text(subject) .. packed
end

-- The record of a message of the outbox that came into a state, with what its hash says of it. An error may quote a number,
-- and no record names a person.
local function record_of(id, message, account, state, actor)
  local attempts, code, why = unpack(redis.call('HMGET', message, 'attempts', 'code', 'error'))
  why = string.gsub(why or '', '%d%d%d%d%d%d%d+', '(number)')
  local whole = #(code or '') < 10 and string.match(code or '', '^%d+$')
  local about = { 'outbox.' .. state, account, '', state, tonumber(attempts) or 0, tonumber(whole or 0), 0, why, actor or '' }
  return record(id, cmsgpack.pack(about))
end

-- Append `count` records, which are `parts` one behind the other, as one entry. Its id is the last one's, the others count
-- down from it: that leaves room above the ids of any step before. No trouble here may stop what is noted.
local function note(activity, count, parts)
  if count == 0 then return end
  local time = redis.call('TIME')
  local micros = tonumber(time[2])
  local head = string.format('%.0f-', tonumber(time[1]) * 1000 + math.floor(micros / 1000))
  local seq = (micros % 1000) * 1000 + count - 1
  local size = string.char(221, math.floor(count / 16777216), math.floor(count / 65536) % 256, math.floor(count / 256) % 256, count % 256)
  local blob = size .. table.concat(parts)
  local added = redis.pcall('XADD', activity, head .. string.format('%.0f', seq), 'n', count, 'r', blob)
  if type(added) == 'table' and added.err then -- the clock was set back, or many records came within microseconds
    local info = redis.pcall('XINFO', 'STREAM', activity)
    if info.err then return end
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        local dash = string.find(info[i + 1], '-', 1, true)
        seq = tonumber(string.sub(info[i + 1], dash + 1)) + count
        redis.pcall('XADD', activity, string.sub(info[i + 1], 1, dash) .. string.format('%.0f', seq), 'n', count, 'r', blob)
      end
    end
  end
end
