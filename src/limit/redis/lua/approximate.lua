
-- The approximate window: before, current.
local function approximate(key, limit, capacity, window, cost, ask, what, seen)
  local version, expiry, since, newest, before, current = 0, 0, 0, 0, 0, 0
  local state = found(key, 32, seen)
  if state then version, expiry, since, newest, before, current = unpack('<I1I6I7I6I6I6', state) end
  local at = now > newest and now or newest
  local theirs, period = newest - newest % window, at - at % window
  if period ~= theirs then
    before, current = period - theirs == window and current or 0, 0
  end
  local used, over = product(before, window - 1 - at % window, window)
  used = current + used + (over > 0 and 1 or 0)
  local fits = cost == 0 or ask <= capacity - used
  if what == CHECK then return fits end
  local taken = what == ANYHOW or what == TAKE and fits
  if taken and cost > 0 then
    if before == 0 and current == 0 and since < at then since = at end
    current = current + cost
    if current > MOST then current = MOST end
    local expires, life = lives(expiry, at, period + 2 * window)
    state = pack('<I1I6I7I6I6I6', VERSION, expires, since, at, before, current)
    write(key, state, life)
    return true, state
  end
  return taken, pack('<I1I6I7I6I6I6', taken and TAKEN or OPEN, expiry, since, at, before, current)
end
