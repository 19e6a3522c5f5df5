"""`log`, `tail` and `stats`: what happened, what happens, and how much of it.

asked      which config, which target, which rows
log        rows that a target has; seen.py tells what is new in them
tail       what happens, from Redis: listening.py hears it, story.py makes a line an event of it
stats      counts (figures.py), as tables with charts.py
lines      a row as a line; marks.py how a hook's outcome looks
paper      where lines are printed; pieces.py makes them fit, coloured and harmless
"""
