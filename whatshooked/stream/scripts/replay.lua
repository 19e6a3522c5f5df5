#!lua flags=allow-oom
-- REPLAY: open entries again for the hooks that match now and have not taken them; what is in flight is left alone.
-- KEYS: events, unmatched, poison, due of the media hook, activity, then due and dead of each known hook, then open and taken of each entry,
--   last the ledger.
-- ARGV: group, parked consumer, known hooks (msgpack [[id, configured], ...]), entries (msgpack [[id, park, [hook index, ...], fetch], ...]), again,
--   media hook, hold (ms), then, where somebody wants to know, a record per entry.
--   fetch = 1: its file is not here; it is fetched first, and the hooks are held for it as ROUTE does.
--   known hooks: all whose keys may name an entry, those no longer configured too.
--   again = 1: also to hooks that took it, whose replies are not sent a second time; 2: as if they had never taken it.
-- Answer: per entry the count of hooks that will (now) get it, or -1 when the entry does not exist.
-- include shared/note.lua
-- include shared/settle.lua
local events, group = KEYS[1], ARGV[1]
local hooks, entries, again = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local told = {}
local base, media, hold = 5 + 2 * #hooks, ARGV[6], tonumber(ARGV[7])

-- include shared/later.lua

local delivered = '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', events) -- an error when nothing ever came in
for _, info in ipairs(groups.err and {} or groups) do
  if info[2] == group then
    for k = 1, #info, 2 do
      if info[k] == 'last-delivered-id' then delivered = info[k + 1] end
    end
  end
end

local answer = {}
for i, entry in ipairs(entries) do
  local id, park, wanted = entry[1], entry[2], entry[3]
  local open, taken = KEYS[base + 2 * i - 1], KEYS[base + 2 * i]
  answer[i] = -1
  if #redis.call('XRANGE', events, id, id) == 1 then
    answer[i] = 0
    -- Not read by any worker yet: it is about to be routed to the same hooks.
    if not later(id, delivered) then
      local pending = redis.call('XPENDING', events, group, id, id, 1)
      local routed = #pending == 0 or pending[1][2] == ARGV[2]
      if routed then
        for h, hook in ipairs(hooks) do
          local score = hook[2] == 0 and redis.call('ZSCORE', KEYS[5 + 2 * h - 1], id)
          local packed = hook[2] == 0 and redis.call('HGET', open, hook[1])
          if packed and not (string.sub(packed, 1, 1) == 'l' and score and tonumber(score) > now) then
            redis.call('HDEL', open, hook[1])
            redis.call('ZREM', KEYS[5 + 2 * h - 1], id)
            redis.call('ZREM', KEYS[5 + 2 * h], id)
          end
        end
        local fetching = redis.call('HEXISTS', open, media) == 1
        for _, h in ipairs(wanted) do
          local hook, due = hooks[h][1], KEYS[5 + 2 * h - 1]
          local packed = redis.call('HGET', open, hook)
          local score = redis.call('ZSCORE', due, id)
          local in_flight = packed and string.sub(packed, 1, 1) == 'l' and score and tonumber(score) > now
          if not in_flight and (again > 0 or packed or redis.call('SISMEMBER', taken, hook) == 0) then
            local rest = packed and string.match(packed, '^.|%d+|%d+|%d|(.*)$') or '0|'
            if again == 2 then redis.call('SREM', taken, hook) end
            redis.call('HSET', open, hook, 'w|0|0|1|' .. rest)
            local held = fetching or entry[4] == 1
            -- Who waits for the file already does not wait longer for being asked again.
            if not (fetching and packed and string.match(packed, '^w|0|') and score) then
              redis.call('ZADD', due, held and string.format('%.0f', now + hold) or now, id)
            end
            redis.call('ZREM', KEYS[5 + 2 * h], id)
            answer[i] = answer[i] + 1
          end
        end
        if entry[4] == 1 and not fetching and answer[i] > 0 then
          redis.call('HSET', open, media, 'w|0|0|0|0|')
          redis.call('ZADD', KEYS[4], now, id)
        end
        if redis.call('EXISTS', open) == 1 then
          if #pending == 0 then
            redis.call('XCLAIM', events, group, ARGV[2], 0, id, 'FORCE', 'JUSTID')
            settle(-1) -- it was settled, and is owed again
          end
          if answer[i] > 0 then
            redis.call('ZREM', KEYS[2], id)
            local poisoned = false
            for _, state in ipairs(redis.call('HVALS', open)) do
              if string.sub(state, 1, 1) == 'p' then poisoned = true end
            end
            if not poisoned then redis.call('ZREM', KEYS[3], id) end
          end
        elseif #pending > 0 then
          -- Its last open hooks were of a config that is gone: finished if some hook took it, unmatched if none ever did.
          if park == 0 or redis.call('EXISTS', taken) == 1 then
            settle(redis.call('XACK', events, group, id))
          elseif not redis.call('ZSCORE', KEYS[3], id) then
            redis.call('ZADD', KEYS[2], 'NX', now, id)
          end
        end
      end
    end
    if answer[i] > 0 and ARGV[7 + i] then told[#told + 1] = ARGV[7 + i] end
  end
end
note(KEYS[5], #told, told)
return answer
