
-- The fixed window: used.
local function fixed(key, limit, capacity, window, cost, ask, what, seen)
  local version, expiry, since, newest, used = 0, 0, 0, 0, 0
  local state = found(key, 26, seen)
  if state then version, expiry, since, newest, used = unpack('<I1I6I7I6I6', state) end
  local at = now > newest and now or newest
  local period = at - at % window
  if newest < period then used = 0 end
  local fits = cost == 0 or ask <= capacity - used
  if what == CHECK then return fits end
  local taken = what == ANYHOW or what == TAKE and fits
  if taken and cost > 0 then
    if used == 0 and since < at then since = at end
    used = used + cost
    if used > MOST then used = MOST end
    local expires, life = lives(expiry, at, period + window)
    state = pack('<I1I6I7I6I6', VERSION, expires, since, at, used)
    write(key, state, life)
    return true, state
  end
  return taken, pack('<I1I6I7I6I6', taken and TAKEN or OPEN, expiry, since, at, used)
end
