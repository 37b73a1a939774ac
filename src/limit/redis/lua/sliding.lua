
local function sliding(key, limit, capacity, window, cost, ask, what, seen)
  return ring(key, limit, capacity, window, cost, ask, what, 60, true, seen)
end
