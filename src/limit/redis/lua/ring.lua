
-- Runs, oldest first, each a stamp and a count; behind them the header: what is used, how many runs at the front are dead, and how many
-- there are with those. What changes with most takes, the newest run and the header, is one piece. There is at least one run.
local RUN, PIECE, PIECE_BYTES = 12, '<I6I6I1I6I7I6I6I4I4', 46
-- More runs than there ever are.
local MANY = 2 ^ 18

-- Some of the runs, from a number on: which those are, and from where to where.
local function more(key, number, count)
  local upto = number + 64
  if upto > count then upto = count end
  local runs = redis.call('GETRANGE', key, RUN * number, RUN * upto - 1)
  -- It has them all, unless it is no state.
  return runs .. string.rep('\0', RUN * (upto - number) - #runs), number, upto
end

-- Makes one of those two neighbours that count least together.
local function join_two(runs)
  local least, place, stamp
  local _, before = unpack('<I6I6', runs)
  for at = RUN + 1, #runs, RUN do
    local later, count = unpack('<I6I6', runs, at)
    if not least or before + count < least then least, place, stamp = before + count, at, later end
    before = count
  end
  return string.sub(runs, 1, place - RUN - 1) .. pack('<I6I6', stamp, least) .. string.sub(runs, place + RUN)
end

-- What lies under a key: those runs that were read on the way to the header, their first and last number, and the header.
local function read(key, whole, seen)
  local state = seen
  if not state then
    if whole then state = redis.pcall('GET', key) else state = redis.pcall('GETRANGE', key, -PIECE_BYTES, -1) end
  end
  if not state or state == '' then return nil end
  local start = type(state) == 'string' and #state - PIECE_BYTES + 1 or 0
  if start > 0 and string.byte(state, start + RUN) == VERSION then
    local stamp, last, _, expiry, since, newest, used, dead, count = unpack(PIECE, state, start)
    local from = whole and 0 or count - 1
    if start - 1 == RUN * (count - 1 - from) and dead <= count and count < MANY and stamp == newest then
      return state, from, count, last, expiry, since, newest, used, dead, count
    end
  end
  if whole then return no_state(state, 'GET', key) end
  return no_state(state, 'GETRANGE', key, 0, 0)
end

local function ring(key, limit, capacity, window, cost, ask, what, most, whole, seen)
  -- With all that is there, what is over included, it is to be had.
  if what == CHECK and seen and #seen > PIECE_BYTES and ask <= capacity - unpack('<I6', seen, #seen - 13) then return true end
  local runs, from, upto, last, expiry, since, newest, used, dead, count = read(key, whole, seen)
  local fresh = not runs
  if fresh then from, upto, last, expiry, since, newest, used, dead, count = 0, 0, 0, 0, 0, 0, 0, 0, 0 end
  local at = now > newest and now or newest

  local over = at - window
  if newest <= over then
    if dead < count and since <= newest then since = newest + 1 end
    dead, used = count, 0
  end
  local oldest, oldest_count
  while dead < count do
    if dead < from or dead >= upto then runs, from, upto = more(key, dead, count) end
    oldest, oldest_count = unpack('<I6I6', runs, RUN * (dead - from) + 1)
    if oldest > over then break end
    dead, used = dead + 1, used - oldest_count
    if since <= oldest then since = oldest + 1 end
  end
  -- So it is only where the sum was none.
  if used < 0 then used = 0 end

  local fits = cost == 0 or ask <= capacity - used
  if what == CHECK then return fits end
  local taken = what == ANYHOW or what == TAKE and fits
  if taken and cost > 0 then
    local expires, life = lives(expiry, at, at + window)
    if used + cost > MOST then cost = MOST - used end
    used = used + cost
    if dead < count and (newest == at or last < math.ceil(limit / most)) then
      last = last + cost
      local piece = pack(PIECE, at, last, VERSION, expires, since, at, used, dead, count)
      redis.call('SETRANGE', key, RUN * (count - 1), piece)
      if life then redis.call('PEXPIRE', key, life) end
    else
      if dead == count and since < at then since = at end
      local crowded = count - dead >= most
      -- What is small is written whole, or Redis would give it twice the memory to grow.
      if whole or fresh or crowded or dead > 64 + count / 2 then
        local alive = ''
        if dead < count then
          if dead < from or upto < count then
            runs, from, upto = redis.call('GETRANGE', key, RUN * dead, RUN * count - 1), dead, count
          end
          alive = string.sub(runs, RUN * (dead - from) + 1, RUN * (count - from))
          if crowded then alive, oldest_count = join_two(alive), nil end
        end
        runs, from, dead, upto, count = alive, 0, 0, #alive / RUN, #alive / RUN + 1
        write(key, alive .. pack(PIECE, at, cost, VERSION, expires, since, at, used, 0, count), life)
      else
        count = count + 1
        local piece = pack(PIECE, at, cost, VERSION, expires, since, at, used, dead, count)
        redis.call('SETRANGE', key, RUN * (count - 1), piece)
        if life then redis.call('PEXPIRE', key, life) end
      end
      last = cost
    end
    newest = at
  end

  -- What is used, and the moments at which it will have fallen so far that more remains than now, and that the cost does.
  local left, stamp = used, at
  local more_stamp, more_left
  local goal = (used < capacity and used or capacity) - 1
  for step = 1, 2 do
    if step == 2 then
      more_stamp, more_left = stamp, left
      if taken or ask > capacity then break end
      goal = capacity - ask
    end
    while left > goal and goal >= 0 and dead < count do
      local counted = last
      if dead == count - 1 then
        stamp = newest
      elseif oldest_count then
        stamp, counted, oldest_count = oldest, oldest_count, nil
      else
        if dead < from or dead >= upto then runs, from, upto = more(key, dead, count) end
        stamp, counted = unpack('<I6I6', runs, RUN * (dead - from) + 1)
      end
      dead, left = dead + 1, left - counted
      if left < 0 then left = 0 end
    end
  end
  return taken, pack('<I1I6I6I6I6I6I6', taken and TAKEN or OPEN, at, used, more_stamp, more_left, stamp, left)
end
