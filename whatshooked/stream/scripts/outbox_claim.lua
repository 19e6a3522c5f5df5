#!lua flags=allow-oom
-- OUTBOX_CLAIM: lease the heads of due lines to this process, as far as Meta's rates allow. From here on a message may be
-- at Meta: a lease that ends without an outcome is unknown.
-- KEYS: due, rate, hold, messages in state new, sending, sent, failed, unknown, activity, then line, pair and message of each candidate.
-- ARGV: lease (ms), messages to take, messages a second, messages at once, messages to one recipient at once, ms between
--   two of them then, messages that came in since the last call, resend what is unknown (1/0), leases at most,
--   candidates (msgpack [[recipient, id], ...]), token of these leases, account ("" when nobody wants to
--   know).
-- Answer: [[id, fields], ...], ids that became unknown, ids that a status had settled, ms until the number may pass
--   the next one (0 = its rate keeps nothing back).
-- include shared/note.lua
local due, rate, hold = KEYS[1], KEYS[2], KEYS[3]
local index = { new = KEYS[4], sending = KEYS[5], sent = KEYS[6], failed = KEYS[7], unknown = KEYS[8] }
local lease, room, a_second, at_once = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local burst, spacing, came_in, resend, leases = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1', tonumber(ARGV[9])
local token = ARGV[11]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function full(key, most, per_ms)
  local tokens, at = string.match(redis.call('GET', key) or '', '^(.*)|(.*)$')
  if not tokens then return most end
  return math.min(most, tonumber(tokens) + math.max(now - tonumber(at), 0) * per_ms)
end

local function keep(key, tokens, ttl)
  redis.call('SET', key, string.format('%.4f|%.0f', tokens, now), 'PX', string.format('%.0f', ttl))
end

local function move(id, from, to)
  local at = redis.call('ZSCORE', index[from], id)
  redis.call('ZREM', index[from], id)
  redis.call('ZADD', index[to], at or now, id)
end

local function leave(line, recipient)
  redis.call('LPOP', line)
  if redis.call('EXISTS', line) == 1 then
    redis.call('ZADD', due, now, recipient)
  else
    redis.call('ZREM', due, recipient)
  end
end

local told = {}
local function tell(id, message, state)
  if ARGV[12] ~= '' then told[#told + 1] = record_of(id, message, ARGV[12], state) end
end

local may_pass = full(rate, at_once, a_second / 1000) - came_in
local leased, unknown, settled = {}, {}, {}
local paced = false
local held = redis.call('EXISTS', hold) == 1
for i, candidate in ipairs(cmsgpack.unpack(ARGV[10])) do
  local recipient, id = candidate[1], candidate[2]
  local line, pair, message = KEYS[7 + 3 * i], KEYS[8 + 3 * i], KEYS[9 + 3 * i]
  local score = redis.call('ZSCORE', due, recipient)
  if score and tonumber(score) <= now and redis.call('LINDEX', line, 0) == id then
    local state, status, attempts = unpack(redis.call('HMGET', message, 'state', 'status', 'attempts'))
    if not state or state == 'sent' or state == 'failed' or state == 'unknown' then
      leave(line, recipient) -- forgotten by hand, or not to be here: it would be sent again
    elseif status then
      -- Meta had it: an earlier attempt, whose answer never came, was the one.
      local becomes = status == 'failed' and 'failed' or 'sent'
      redis.call('HSET', message, 'state', becomes)
      if becomes == 'sent' then redis.call('HDEL', message, 'code', 'error') end -- an earlier attempt's
      move(id, state, becomes)
      leave(line, recipient)
      settled[#settled + 1] = id
      tell(id, message, becomes)
    elseif state == 'sending' and not (resend and tonumber(attempts) < leases) then
      redis.call('HSET', message, 'state', 'unknown', 'error', 'the worker ended while it was sent')
      move(id, 'sending', 'unknown')
      leave(line, recipient)
      unknown[#unknown + 1] = id
      tell(id, message, 'unknown')
    elseif not held and room > 0 and may_pass < 1 then
      paced = true
    elseif not held and room > 0 then
      local left = full(pair, burst, 1 / spacing)
      if left < 1 then
        redis.call('ZADD', due, string.format('%.0f', now + math.ceil((1 - left) * spacing)), recipient)
      else
        keep(pair, left - 1, (burst + 1) * spacing)
        may_pass, room = may_pass - 1, room - 1
        redis.call('HSET', message, 'state', 'sending', 'token', token, 'attempts', tonumber(attempts) + 1)
        redis.call('ZADD', due, string.format('%.0f', now + lease), recipient)
        if state == 'new' then move(id, 'new', 'sending') end
        tell(id, message, 'sending')
        leased[#leased + 1] = { id, redis.call('HGETALL', message) }
      end
    end
  end
end
note(KEYS[9], #told, told)
keep(rate, math.max(may_pass, -a_second), 10000)
return { leased, unknown, settled, paced and math.ceil((1 - may_pass) * 1000 / a_second) or 0 }
