-- Changes scores in all periods of a board, each change in all or in none.
-- KEYS: of each period scores, order, levels; then done. ARGV: microseconds ('' for the server's), ranks, capacity, ms for which
-- operations are remembered, how many are, number of periods; of each from, until (ms), what is to be done outside ('' nothing,
-- 'r' read the clock), ms that it is kept after (-1 for ever); of each change its verb, member, number, operation.
-- Reply: {'clock', ms}, what is wrong with a board, or {'done', of each change 1 (changed), 0, or 2 (out of range), and the score
-- in the first period or nil}.

local NOW = micros(ARGV[1])
local MS, SERVER = math.floor(NOW / 1000), math.floor(micros('') / 1000)
local RANKS, CAPACITY, REMEMBER, REMEMBERED, PERIODS =
  ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local DENSE = string.find(RANKS, 'd', 1, true) ~= nil
local DONE = KEYS[#KEYS]

local boards = {}
for at = 1, PERIODS do
  local from, till, outside, keep = unpack(ARGV, 7 + (at - 1) * 4, 10 + (at - 1) * 4)
  local inside = MS >= tonumber(from) and MS < tonumber(till)
  if not inside and outside == 'r' then return { 'clock', MS } end
  local board = { scores = KEYS[at * 3 - 2], order = KEYS[at * 3 - 1], levels = KEYS[at * 3], counts = inside }
  if tonumber(keep) >= 0 then board.ttl = tonumber(till) - MS + tonumber(keep) end
  local last, wrong = turn(board.scores, board.order, board.levels, RANKS)
  if not last then return wrong end
  board.turn = last
  boards[at] = board
end

-- Their score and digits, if they have one.
local function current(board, member)
  local digits = redis.call('HGET', board.order, member)
  local score = digits and redis.call('ZSCORE', board.scores, digits .. member)
  return score and tonumber(score) or nil, digits or nil
end

local function place(board, member, old, digits, new)
  if old == new then return false end
  if digits then redis.call('ZREM', board.scores, digits .. member) end
  if new then
    board.turn = math.max(board.turn + 1, NOW)
    digits = string.format('%014x', MOST - board.turn)
    redis.call('ZADD', board.scores, text(new), digits .. member)
    redis.call('HSET', board.order, member, digits)
    if DENSE then redis.call('ZADD', board.levels, text(new), text(new)) end
  else
    redis.call('HDEL', board.order, member)
  end
  if old then gone(board.scores, board.levels, text(old), DENSE) end
  board.changed = true
  return true
end

local function wanted(verb, old, number)
  if verb == 's' then return number end
  if verb == 'b' then return old and math.max(old, number) or number end
  if verb == 'i' then return (old or 0) + number end
  return nil
end

local function change(verb, member, number, operation)
  local once = verb == 'i' and #member .. ':' .. member .. operation
  if once and redis.call('ZSCORE', DONE, once) then return 0 end
  local found, changed = {}, 0
  for at, board in ipairs(boards) do
    if board.counts then
      local old, digits = current(board, member)
      local new = wanted(verb, old, number)
      if new and math.abs(new) > MOST then return 2 end
      found[at] = { old, digits, new }
    end
  end
  for at, board in ipairs(boards) do
    local of = found[at]
    if of and place(board, member, of[1], of[2], of[3]) then changed = 1 end
  end
  if once then redis.call('ZADD', DONE, MS, once) end
  return changed
end

local FIRST, increments = 7 + PERIODS * 4, false
for at = FIRST, #ARGV, 4 do
  increments = increments or ARGV[at] == 'i'
end
-- An error if it is of another type, before anything is written.
if increments then redis.call('ZCARD', DONE) end

local reply = { 'done' }
for at = FIRST, #ARGV, 4 do
  reply[#reply + 1] = change(ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3])
  reply[#reply + 1] = ARGV[at + 1]
end

for _, board in ipairs(boards) do
  if board.changed then
    redis.call('HSET', board.order, '', text(board.turn) .. ':' .. RANKS)
    shorten(board.scores, board.order, board.levels, redis.call('ZCARD', board.scores) - CAPACITY, 1000, DENSE)
    if board.ttl then
      for _, key in ipairs({ board.scores, board.order, board.levels }) do
        -- All in the same millisecond.
        if redis.call('PTTL', key) == -1 then redis.call('PEXPIREAT', key, text(SERVER + board.ttl)) end
      end
    end
  end
end
if increments then
  redis.call('ZREMRANGEBYSCORE', DONE, '-inf', '(' .. text(MS - REMEMBER))
  local over = redis.call('ZCARD', DONE) - REMEMBERED
  if over > 0 then redis.call('ZPOPMIN', DONE, over) end
  redis.call('PEXPIRE', DONE, REMEMBER)
end

for at = 3, #reply, 2 do
  local score = boards[1].counts and current(boards[1], reply[at])
  reply[at] = score and text(score) or false
end
return reply
