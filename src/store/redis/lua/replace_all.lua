-- Removes the resource, and moves the lease to a variant as if it were won there now, if nothing it would fill was removed.
-- KEYS: table, stamp, entry, lease, entry and lease of the variant, the resource's own entry. ARGV: nonce, epoch, sequence, server, fresh epoch,
-- ttl of the table, lease ms, most names, token, ms of doubt, resource, tags.

local ENTRY, LEASE, TO_ENTRY, TO_LEASE, OWN = KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local NONCE, EPOCH, SEQUENCE, RUN, FRESH, TTL, LEASE_MS, MOST, TOKEN, DOUBT, RESOURCE =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10]), ARGV[11]

local holds = standing_lease(LEASE, NONCE, EPOCH, SEQUENCE, RUN, names_from(11))
local epoch, sequence = remove(RESOURCE, TOKEN, MOST, FRESH, TTL, DOUBT)
redis.call('UNLINK', OWN)
if holder(LEASE) == NONCE then finish(LEASE, ENTRY, 'r') end
if not holds then return { 'superseded', server() } end
finish(TO_LEASE, TO_ENTRY, 'r')
redis.call('HSET', TO_LEASE, 'n', NONCE, 'e', epoch, 's', text(sequence), 'r', RUN, 'v', '0')
redis.call('PEXPIRE', TO_LEASE, LEASE_MS)
return { 'moved', RUN, epoch, text(sequence) }
