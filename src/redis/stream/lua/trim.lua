-- Removes what every group is done with.
-- KEYS: log. ARGV: ms for which an entry stays in any case. Reply: how many were removed.

local LOG, STAYS = KEYS[1], tonumber(ARGV[1])

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function text(number)
  return string.format('%.0f', number)
end

if redis.call('EXISTS', LOG) == 0 then return 0 end
local time = redis.call('TIME')
local ms, seq = time[1] * 1000 + math.floor(time[2] / 1000) - STAYS, 0
local groups = redis.call('XINFO', 'GROUPS', LOG)
-- Nobody has said yet what is needed.
if #groups == 0 then return 0 end
for _, group in ipairs(groups) do
  local g = {}
  for at = 1, #group, 2 do g[group[at]] = group[at + 1] end
  local m, s
  if g.pending > 0 then
    m, s = parts(redis.call('XPENDING', LOG, g.name)[2])
  else
    m, s = parts(g['last-delivered-id'])
    s = s + 1
  end
  if m < ms or (m == ms and s < seq) then ms, seq = m, s end
end
if ms < 0 then return 0 end
return redis.call('XTRIM', LOG, 'MINID', text(ms) .. '-' .. text(seq))
