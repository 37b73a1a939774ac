-- Whether the lease still stands, and nothing it would fill was removed since it was won.
local function standing_lease(lease, nonce, epoch, sequence, run, names)
  local t = redis.call('HMGET', TABLE, 'e', 'f')
  if holder(lease) ~= nonce or t[1] ~= epoch or tonumber(t[2]) > sequence or server() ~= run then return false end
  return not removed(names, sequence)
end

local function names_from(first)
  local names = {}
  for at = first, #ARGV do names[#names + 1] = ARGV[at] end
  return names
end
