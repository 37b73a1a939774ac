
-- a times b, as a multiple of w and what is over. Exact for a, b < 2^48, w < 2^39; a multiple beyond 2^53 is not, and is beyond
-- whatever it is compared with.
local function product(a, b, w)
  local both = a * b
  if both < 2 ^ 52 then return floor(both / w), both % w end
  local times, whole, over = floor(b / w), 0, 0
  b = b % w
  for _, place in ipairs({ 2 ^ 36, 2 ^ 24, 2 ^ 12, 1 }) do
    over = over * 4096 + floor(a / place) % 4096 * b
    whole, over = whole * 4096 + floor(over / w), over % w
  end
  return a * times + whole, over
end
