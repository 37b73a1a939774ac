
-- Several checks, one after the other. Each takes all that it asks for, or nothing. Replies the time, how many states were replaced,
-- and what is told of each key.
local told, number, _ = {}, 1, nil

local function meter(place, what)
  local _, again, kind, limit, capacity, window, cost, ask = unpack(CLAIM, ARGV[1], CLAIM_BYTES * (place - 1) + 1)
  return meters[kind](KEYS[place], limit, capacity, window, cost, ask, what, again == 0 and seen[place])
end

while number <= #KEYS do
  local last, allowed = number + string.byte(ARGV[1], CLAIM_BYTES * (number - 1) + 1) - 1, true
  local replaced = spoilt
  for other = number, last - 1 do
    allowed = allowed and meter(other, CHECK)
  end
  -- They are looked at again.
  spoilt = replaced
  -- The last is taken when the others are known to be had, and they when it was.
  allowed, told[last] = meter(last, allowed and TAKE or LOOK)
  for other = number, last - 1 do
    _, told[other] = meter(other, allowed and ANYHOW or LOOK)
  end
  number = last + 1
end
return pack('<I6I1', now, spoilt < 255 and spoilt or 255) .. table.concat(told)
