#!lua flags=allow-oom
-- ACTIVITY: note what was done by a step that is no script of its own.
-- KEYS: activity. ARGV: how many records, the records.
-- include shared/note.lua
note(KEYS[1], tonumber(ARGV[1]), { ARGV[2] })
return 1
