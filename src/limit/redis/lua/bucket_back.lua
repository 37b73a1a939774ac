
local function bucket_back(key, limit, window, cost, then_at, level)
  local state = found(key, 32)
  if not state then return 0 end
  local _, expiry, since, newest, out, part = unpack('<I1I6I7I6I6I6', state)
  if then_at < since then return 0 end
  local at = now > newest and now or newest
  -- A receipt can be younger than the state, where a server lost it.
  local still_out = out_at(level, 0, limit, math.max(at - then_at, 0), window)
  local now_out = out_at(out, part, limit, at - newest, window)
  local back = math.min(cost, still_out, now_out)
  if back > 0 then write(key, pack('<I1I6I7I6I6I6', VERSION, expiry, since, newest, out - back, part)) end
  return back
end
