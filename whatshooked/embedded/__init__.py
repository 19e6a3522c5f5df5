"""The bundled Valkey: found, started, supervised and shared by every process that uses one data_path.

binary     which server program to run
folder     the server's own folder in data_path, its lock and its state file
runtime    the short private folder of its socket
process    one server process: command line, start, readiness, stop
probe      what the socket answers
shim       execs the server so that it dies with its owner
faults     what went wrong, as one line with the remedy
keeper     the thread that owns the server, or watches to take over
server     Embedded: what the rest of the program uses
"""

from whatshooked.embedded.server import Embedded

__all__ = ["Embedded"]
