
local function log_back(key, limit, window, cost, then_at)
  return ring_back(key, limit, window, cost, then_at, false)
end
