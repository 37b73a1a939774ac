-- Leaves a sign under the lease's key, and moves the lease to a variant.
-- KEYS: table, stamp, entry, lease, entry and lease of the variant. ARGV: nonce, epoch, sequence, server, ttl of the sign, ttl of the table,
-- sign, lease ms, resource.

local ENTRY, LEASE, TO_ENTRY, VARIANT = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local NONCE, EPOCH, SEQUENCE, RUN, MS, TTL, SIGN, LEASE_MS, RESOURCE =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]

if not standing_lease(LEASE, NONCE, EPOCH, SEQUENCE, RUN, { RESOURCE }) then
  if holder(LEASE) == NONCE then finish(LEASE, ENTRY, 'r') end
  return { 'void', server() }
end

redis.call('SET', ENTRY, SIGN, 'PX', MS)
live(TABLE, TTL)
live(STAMP, TTL)
finish(LEASE, ENTRY, 'f')

local l = redis.call('HMGET', VARIANT, 'n', 'e', 's', 'r')
if l[1] and l[2] == EPOCH and l[4] == RUN and not removed({ 'f', RESOURCE }, tonumber(l[3])) then
  return { 'taken', RUN }
end
finish(VARIANT, TO_ENTRY, 'r')
redis.call('HSET', VARIANT, 'n', NONCE, 'e', EPOCH, 's', ARGV[3], 'r', RUN, 'v', '0')
redis.call('PEXPIRE', VARIANT, LEASE_MS)
return { 'moved', RUN }
