#!lua flags=allow-oom
-- OUTBOX_FSCK: hold what the keys say of each recipient's messages against each other, and mend it when asked; one step
-- per batch, so that running workers are never caught half-way.
-- KEYS: due, messages in state new, sending, sent, failed, unknown, then per recipient: the line and each message.
-- ARGV: recipients (msgpack [[recipient, [id, ...]], ...]; recipient "": nothing says whose they are), mend (1/0).
-- Answer: [[id or "", recipient, what disagrees], ...].
local due, states = KEYS[1], { 'new', 'sending', 'sent', 'failed', 'unknown' }
local index = { new = KEYS[2], sending = KEYS[3], sent = KEYS[4], failed = KEYS[5], unknown = KEYS[6] }
local mend = ARGV[2] == '1'
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local found = {}

local function say(id, recipient, what, command)
  found[#found + 1] = { id, recipient, what }
  if mend then redis.call(unpack(command)) end
end

local place = 7
for _, group in ipairs(cmsgpack.unpack(ARGV[1])) do
  local recipient, line = group[1], KEYS[place]
  local lined = {}
  for _, id in ipairs(redis.call('LRANGE', line, 0, -1)) do lined[id] = (lined[id] or 0) + 1 end
  for i, id in ipairs(group[2]) do
    local state, at = unpack(redis.call('HMGET', KEYS[place + i], 'state', 'at'))
    local waits, times = state == 'new' or state == 'sending', lined[id] or 0
    for _, name in ipairs(states) do
      local listed = redis.call('ZSCORE', index[name], id)
      if listed and not state then
        say(id, recipient, 'listed_without_message', { 'ZREM', index[name], id })
      elseif listed and name ~= state then
        say(id, recipient, 'listed_in_another_state', { 'ZREM', index[name], id })
      elseif not listed and name == state then
        say(id, recipient, 'message_not_listed', { 'ZADD', index[name], at or now, id })
      end
    end
    if times > 0 and not state then
      say(id, recipient, 'lined_without_message', { 'LREM', line, 0, id })
    elseif times > 0 and not waits then
      say(id, recipient, 'finished_in_line', { 'LREM', line, 0, id })
    elseif times > 1 then
      say(id, recipient, 'twice_in_line', { 'LREM', line, 1 - times, id }) -- its first place stays
    elseif times == 0 and waits then
      -- What may be at Meta goes first, so that its lease's end makes it unknown.
      say(id, recipient, 'waiting_in_no_line', { state == 'new' and 'RPUSH' or 'LPUSH', line, id })
    end
  end
  if recipient ~= '' then
    local has_line, is_due = redis.call('EXISTS', line) == 1, redis.call('ZSCORE', due, recipient)
    if has_line and not is_due then say('', recipient, 'line_not_due', { 'ZADD', due, now, recipient }) end
    if is_due and not has_line then say('', recipient, 'due_without_line', { 'ZREM', due, recipient }) end
  end
  place = place + #group[2] + 1
end
return found
