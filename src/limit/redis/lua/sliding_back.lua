
local function sliding_back(key, limit, window, cost, then_at)
  return ring_back(key, limit, window, cost, then_at, true)
end
