
-- What is out of a bucket at a later moment: whole tokens, and a part.
local function out_at(out, part, limit, elapsed, window)
  if part >= window then out, part = out + floor(part / window), part % window end
  if elapsed > 0 and out + part > 0 then
    local back, over = product(limit, elapsed, window)
    out, part = out - back, part - over
    if part < 0 then out, part = out - 1, part + window end
    if out < 0 then return 0, 0 end
  end
  return out, part
end

-- The token bucket: out, part.
local function bucket(key, limit, capacity, window, cost, ask, what, seen)
  local version, expiry, since, newest, out, part = 0, 0, 0, 0, 0, 0
  local state = found(key, 32, seen)
  if state then version, expiry, since, newest, out, part = unpack('<I1I6I7I6I6I6', state) end
  local at = now > newest and now or newest
  out, part = out_at(out, part, limit, at - newest, window)
  local used = part > 0 and out + 1 or out
  local fits = cost == 0 or ask <= capacity - used
  if what == CHECK then return fits end
  local taken = what == ANYHOW or what == TAKE and fits
  if taken and cost > 0 then
    if used == 0 and since < at then since = at end
    out = out + cost
    if out >= MOST then out, part = MOST, 0 end
    local expires, life = lives(expiry, at, at + math.ceil((out + 1) * window / (limit > 0 and limit or 1)))
    state = pack('<I1I6I7I6I6I6', VERSION, expires, since, at, out, part)
    write(key, state, life)
    return true, state
  end
  return taken, pack('<I1I6I7I6I6I6', taken and TAKEN or OPEN, expiry, since, at, out, part)
end
