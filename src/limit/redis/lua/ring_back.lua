
local function ring_back(key, limit, window, cost, then_at, whole)
  local runs, from, upto, last, expiry, since, newest, used, dead, count = read(key, whole)
  if not runs then return 0 end
  local at = now > newest and now or newest
  if then_at < since or then_at + window <= at then return 0 end
  local low, high = dead, count
  local stamp, counted
  local function look(number)
    if number < from or number >= upto then runs, from, upto = more(key, number, count) end
    stamp, counted = unpack('<I6I6', runs, RUN * (number - from) + 1)
  end
  while low < high do
    local middle = floor((low + high) / 2)
    look(middle)
    if stamp < then_at then low = middle + 1 else high = middle end
  end
  if low == count then return 0 end
  look(low)
  local back = math.min(cost, counted)
  if back > 0 then
    counted, used = counted - back, math.max(used - back, 0)
    if low == count - 1 then last = counted end
    redis.call('SETRANGE', key, RUN * low, pack('<I6I6', stamp, counted))
    redis.call('SETRANGE', key, RUN * (count - 1), pack(PIECE, newest, last, VERSION, expiry, since, newest, used, dead, count))
  end
  return back
end
