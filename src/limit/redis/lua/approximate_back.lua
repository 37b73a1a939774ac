
local function approximate_back(key, limit, window, cost, then_at)
  local state = found(key, 32)
  if not state then return 0 end
  local _, expiry, since, newest, before, current = unpack('<I1I6I7I6I6I6', state)
  local at = now > newest and now or newest
  local theirs, period = newest - newest % window, then_at - then_at % window
  if then_at < since or period + window < at - at % window then return 0 end
  local back = 0
  if theirs == period then
    back = math.min(cost, current)
    current = current - back
  elseif theirs - period == window then
    back = math.min(cost, before)
    before = before - back
  end
  if back > 0 then write(key, pack('<I1I6I7I6I6I6', VERSION, expiry, since, newest, before, current)) end
  return back
end
