#!lua flags=allow-oom
-- CLAIM: lease what is due at one hook to this process. An attempt counts here, when its lease is taken, so that an
-- event whose answer kills its worker ends as poison and not in a circle.
-- KEYS: events, poison, due of the hook, due of the media hook, activity, then open of each candidate.
-- ARGV: group, hook, lease (ms), leases without an outcome that make poison, suspects to take, leases to take, candidates (msgpack [id, ...]),
--   media hook, hold (ms), how late a claim says that nobody was there (ms), packed notes of an attempt
--   that begins and of poison ("" when nobody wants to know), the highest version of entries that is read here.
--   suspect: an event whose last two leases had no outcome. Few are taken at once, or a killer's neighbours would be
--   counted as killers with it.
-- Answer: [[id, token, attempts, replay, leases without outcome before this one, blob, was the last of these just now], ...], ids that became poison, ids whose entry is gone.
-- include shared/note.lua
local events, poison, due = KEYS[1], KEYS[2], KEYS[3]
local group, hook, most, suspects = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local token = string.format('%.0f', now + tonumber(ARGV[3]))
local leased, poisoned, vanished, room = {}, {}, {}, tonumber(ARGV[6])
local began, set_aside, told = ARGV[11], ARGV[12], {}
local media, hold, late = ARGV[8], string.format('%.0f', now + tonumber(ARGV[9])), tonumber(ARGV[10])

-- The hold is over long since, the file is not there, and nobody fetches it: nobody was there to do it. It is held once
-- more, once: a lease without an outcome is counted for it, though it has none.
local function hold_again(open, id, score)
  if hook == media or score > now - late or redis.call('HEXISTS', open, media) == 0 then return false end
  local fetch = redis.call('ZSCORE', KEYS[4], id)
  if not fetch or tonumber(fetch) > now then return false end -- a lease that holds, or a try that was put off
  local packed = redis.call('HGET', open, hook)
  local rest = packed and string.match(packed, '^w|0|0(.*)$')
  if not rest then return false end
  redis.call('HSET', open, hook, 'w|0|1' .. rest)
  redis.call('ZADD', due, hold, id)
  return true
end

-- An entry is a msgpack array that opens with its version.
local function version_of(blob)
  local head = string.byte(blob, 1) or 0
  local at = head >= 0x90 and head <= 0x9f and 2 or head == 0xdc and 4
  local version = at and string.byte(blob, at) or 0
  return version <= 127 and version or 0
end

-- A newer version's workers take it: one that cannot read it must not count its attempts, nor have it stand at the head of
-- what is due. It is put off by a twentieth of its age, a second to a minute; what waits for a file by the hold as well,
-- so that a newer worker that comes at last fetches before it delivers.
local function put_off(open, id)
  local age = now - tonumber(string.match(id, '^(%d+)-'))
  local delay = math.min(math.max(age / 20, 1000), 60000)
  if hook ~= media and redis.call('HEXISTS', open, media) == 1 then delay = delay + tonumber(ARGV[9]) end
  redis.call('ZADD', due, string.format('%.0f', now + delay), id)
end

for i, id in ipairs(cmsgpack.unpack(ARGV[7])) do
  local open = KEYS[5 + i]
  local score = redis.call('ZSCORE', due, id)
  if score and tonumber(score) <= now then
    local packed = redis.call('HGET', open, hook)
    local entry = packed and redis.call('XRANGE', events, id, id)
    if not packed then
      redis.call('ZREM', due, id)
    elseif #entry == 0 then
      redis.call('HDEL', open, hook)
      redis.call('ZREM', due, id)
      -- Nobody took it: the ledger misses it from now on.
      if redis.call('EXISTS', open) == 0 then redis.call('XACK', events, group, id) end
      vanished[#vanished + 1] = id
    elseif version_of(entry[1][2][2]) > tonumber(ARGV[13]) then
      put_off(open, id)
    elseif not hold_again(open, id, tonumber(score)) then
      local attempts, crashes, replay, rest = string.match(packed, '^.|(%d+)|(%d+)|(%d)|(.*)$')
      if tonumber(crashes) >= most then
        redis.call('HSET', open, hook, 'p|' .. attempts .. '|' .. crashes .. '|' .. replay .. '|' .. rest)
        redis.call('ZREM', due, id)
        redis.call('ZADD', poison, now, id)
        poisoned[#poisoned + 1] = id
        if set_aside ~= '' then told[#told + 1] = record(id, set_aside, tonumber(attempts)) end
      elseif #leased < room and (tonumber(crashes) < 2 or suspects > 0) then
        local suspect = tonumber(crashes) >= 2 and 1 or 0
        suspects = suspects - suspect
        redis.call('HSET', open, hook, 'l|' .. (attempts + 1) .. '|' .. (crashes + 1) .. '|' .. replay .. '|' .. rest)
        redis.call('ZADD', due, token, id)
        leased[#leased + 1] = { id, token, attempts + 1, tonumber(replay), tonumber(crashes), entry[1][2][2], string.sub(packed, 1, 1) == 'l' and 1 or 0 }
        if began ~= '' then told[#told + 1] = record(id, began, attempts + 1) end
      end
    end
  end
end
note(KEYS[5], #told, told)
return { leased, poisoned, vanished }
