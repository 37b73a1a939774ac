
local function fixed_back(key, limit, window, cost, then_at)
  local state = found(key, 26)
  if not state then return 0 end
  local _, expiry, since, newest, used = unpack('<I1I6I7I6I6', state)
  local at = now > newest and now or newest
  if then_at < since or newest < at - at % window then return 0 end
  local back = math.min(cost, used)
  if back > 0 then write(key, pack('<I1I6I7I6I6', VERSION, expiry, since, newest, used - back)) end
  return back
end
