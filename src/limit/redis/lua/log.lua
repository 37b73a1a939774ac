
local function log(key, limit, capacity, window, cost, ask, what, seen)
  return ring(key, limit, capacity, window, cost, ask, what, 65536, false)
end
