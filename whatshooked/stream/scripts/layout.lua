#!lua flags=allow-oom
-- LAYOUT: which layout do the keys have? Where none is noted yet, the one given. In a full Redis too.
-- KEYS: layout. ARGV: the layout to note. Answer: the layout that is noted.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
