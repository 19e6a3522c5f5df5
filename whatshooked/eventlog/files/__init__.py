"""The target `file`: one folder of JSON lines, which people read with `tail -f`, `grep`, `zcat` and `jq`.

<file_dir>/events.jsonl                            the current file: one row a line, the latest last
<file_dir>/events-<day>-<low>-<high>.jsonl         an ended one; low and high are the unix ms of the rows in it
<file_dir>/events-<day>-<low>-<high>.jsonl.gz      the same, compressed: gzip members that tell what is in them
<file_dir>/.position                               the last row of each shard, and what is where in the current file
<file_dir>/.lock .writing .packing                 locks; `.*.part` is on its way

names      which file is what
lines      rows to lines and back
members    a compressed file that can be read from any place in it
disk       locks, folders, whole writes
faults     what goes wrong, in one line with the remedy
content    what a file holds, whole lines at a time
position   the `.position`
writer     appends, exactly once; ends files
packing    compresses ended ones, beside the writer
listing    the files as they stood at one moment
reader     rows in order, from as few bytes as will do
masking    takes one person out of a file
target     all of it: FileTarget

A kill leaves at most a torn last line, which the next writer cuts off, and an ended file beside its whole compressed
copy, of which readers take one. Other programs may rename `events.jsonl` away: what they leave in the folder as
`events*.jsonl*` is read as well.
"""

from whatshooked.eventlog.files.target import FileTarget

__all__ = ["FileTarget"]
